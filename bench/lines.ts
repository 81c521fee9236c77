import type { Skipped } from "./case.ts";
import type { Measured } from "./measure.ts";

/** A measured case as one readable line. */
export function readable(m: Measured): string {
  const parts = [
    `${m.case.padEnd(42)}${m.shape.padEnd(18)}`,
    `median ${ms(m.medianMs)}, minimum ${ms(m.minMs)}, cpu ${ms(m.cpuMs)}`,
    m.flop ? `${(m.flop / m.medianMs / 1e6).toFixed(1).padStart(6)} GFLOP/s` : "",
    m.peakBytes === null ? "" : `${(m.peakBytes / 1e6).toFixed(1).padStart(7)} MB`,
    m.msPerToken === undefined ? "" : `${(1000 * m.msPerToken).toFixed(2)} µs a token`,
    m.bytesPerToken === undefined ? "" : `${Math.round(m.bytesPerToken)} bytes a token`,
    m.ratio === undefined ? "" : `${comparison(m.ratio)} ${m.against}`,
    m.note ?? "",
  ];
  return parts.filter((part) => part !== "").join("  ");
}

/** What cannot run as one readable line. */
export function skippedLine(suite: string, { label, skipped }: Skipped): string {
  return `${`${suite} ${label}`.padEnd(42)}skipped: ${skipped}`;
}

function comparison(ratio: number): string {
  return ratio > 1 ? `${ratio.toFixed(1)} × slower than` : `${(1 / ratio).toFixed(1)} × faster than`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 1 ? 3 : 2).padStart(8)} ms`;
}
