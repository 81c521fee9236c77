import type { Stats, StepKind } from "@fmmformer/autodiff";

/**
 * What a compiled program costs as a table for people, a line for each kind of step, the most expensive first. MB are what kernels read and
 * write, whether or not it comes from a cache. Where the engine took times, as `wasm({ profile: true })` does, there are milliseconds and
 * rates too.
 */
export function profileTable({ kinds, steps, flop, bytesMoved }: Stats): string {
  const timed = kinds.some(({ ms }) => ms !== undefined);
  const total = kinds.reduce((sum, { ms = 0 }) => sum + ms, 0);
  const row = ({ kind, steps, flop, bytesMoved, ms = 0 }: StepKind): string[] => {
    const facts = [kind, `${steps}`, megas(flop), megas(bytesMoved)];
    if (!timed) return facts;
    return [...facts, ms.toFixed(2), `${((100 * ms) / total).toFixed(1)} %`, rate(flop, ms), rate(bytesMoved, ms)];
  };
  const heads = ["kind", "how many", "MFLOP", "MB", ...(timed ? ["ms", "share", "GFLOP/s", "GB/s"] : [])];
  const rows = [heads, ...kinds.map(row), row({ kind: "all", steps, flop, bytesMoved, ms: total })];
  const widths = heads.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ");
  return rows.map((cells) => line(cells).trimEnd()).join("\n");
}

function megas(count: number): string {
  return count === 0 ? "" : (count / 1e6).toFixed(count < 1e5 ? 3 : 1);
}

function rate(count: number, ms: number): string {
  return count === 0 || ms === 0 ? "" : (count / ms / 1e6).toFixed(1);
}
