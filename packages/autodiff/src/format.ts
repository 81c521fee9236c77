import { showShape } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

const edge = 3;
const threshold = 1000;

/** A tensor as NumPy prints it: aligned columns, eight digits at most, long axes cut to their ends. */
export function format(x: Tensor): string {
  let data: Tensor["data"];
  try {
    data = x.data;
  } catch {
    return `Tracer(${showShape(x.shape)}, ${x.dtype})`;
  }
  const show = numberFormat(data, x);
  const cut = x.size > threshold;
  const visit = (axis: number, offset: number, size: number): string => {
    if (axis === x.shape.length) return show(data[offset]);
    const n = x.shape[axis];
    const stride = n === 0 ? 0 : size / n;
    const parts: string[] = [];
    for (let i = 0; i < n; i++) {
      if (cut && n > 2 * edge && i === edge) {
        parts.push("...");
        i = n - edge;
      }
      parts.push(visit(axis + 1, offset + i * stride, stride));
    }
    const inner = x.shape.length - axis - 1;
    const separator = inner === 0 ? " " : `${"\n".repeat(inner)}${" ".repeat(axis + 1)}`;
    return `[${parts.join(separator)}]`;
  };
  return visit(0, 0, x.size);
}

function numberFormat(data: Tensor["data"], x: Tensor): (v: number) => string {
  const values = data.length > threshold ? sample(data) : Array.from(data);
  if (x.dtype === "bool") return (v) => (v ? " true" : "false");
  const finite = values.filter(Number.isFinite);
  const integral = x.dtype === "int32" || finite.every(Number.isInteger);
  const largest = finite.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const smallest = finite.reduce((m, v) => (v === 0 ? m : Math.min(m, Math.abs(v))), Infinity);
  let write: (v: number) => string;
  if (x.dtype === "int32") write = String;
  else if (largest >= 1e8 || (smallest < 1e-4 && smallest !== Infinity) || largest / smallest > 1e3 * 1e5) {
    write = (v) => v.toExponential(Math.min(8, significant(finite)));
  } else if (integral) write = (v) => `${v}.`;
  else {
    const digits = Math.max(...finite.map((v) => decimals(v, x.dtype === "float32")));
    write = (v) => v.toFixed(digits);
  }
  const safe = (v: number): string =>
    Number.isNaN(v) ? "nan" : Number.isFinite(v) ? write(v) : v > 0 ? "inf" : "-inf";
  const width = x.shape.length === 0 ? 0 : Math.max(...values.map((v) => safe(v).length), 0);
  return (v) => safe(v).padStart(width);
}

/** Digits after the point that tell this value from its neighbours, eight at most. */
function decimals(v: number, single: boolean): number {
  const shortest = single ? Number(v.toPrecision(8)) : v;
  const text = shortest.toFixed(8).replace(/0+$/, "");
  return text.length - text.indexOf(".") - 1;
}

function significant(values: readonly number[]): number {
  return Math.max(
    0,
    ...values.map(
      (v) =>
        Number(v.toPrecision(8))
          .toExponential()
          .replace(/e.*$/, "")
          .replace(/^-?\d\.?/, "").length,
    ),
  );
}

function sample(data: Tensor["data"]): number[] {
  return [...data.slice(0, 100), ...data.slice(-100)];
}
