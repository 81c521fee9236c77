import type { DType } from "./dtype.ts";
import { AbstractValueError, FmmformerError, showShape } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

// NumPy's rules (numpy/_core/arrayprint.py): larger tensors show the ends of their axes, lines are 75 wide, fractions have 8 digits at
// most and as many as tell a number from its neighbours.

const threshold = 1000;
const edge = 3;
const lineWidth = 75;
const precision = 8;

type Word = (value: number) => string;

/** A tensor as NumPy prints it: aligned columns, eight digits at most, long axes cut to their ends. */
export function format(x: Tensor): string {
  let data: Tensor["data"];
  try {
    data = x.data;
  } catch (error) {
    return withoutNumbers(x, error);
  }
  if (x.shape.length === 0) return scalar(data[0], x.dtype);
  if (x.size === 0) return "[]";
  const shown: number[] = [];
  layout(x.shape, (at) => `${shown.push(data[at])}`);
  const word = wordOf(x.dtype, shown);
  return layout(x.shape, (at) => word(data[at]));
}

/** What stands for a tensor whose numbers are not known, or not to be had any more. */
function withoutNumbers(x: Tensor, error: unknown): string {
  const aval = `${showShape(x.shape)}, ${x.dtype}`;
  if (error instanceof AbstractValueError) return `Tracer(${aval})`;
  if (error instanceof FmmformerError) return `Tensor(${aval}, unreadable: ${error.message.replace(/^tensor: /, "")})`;
  throw error;
}

function layout(shape: readonly number[], wordAt: (at: number) => string): string {
  const size = shape.reduce((a, b) => a * b, 1);
  const visit = (axis: number, offset: number, block: number): string => {
    if (axis === shape.length) return wordAt(offset);
    const n = shape[axis];
    const parts: string[] = [];
    for (let i = 0; i < n; i++) {
      if (size > threshold && n > 2 * edge && i === edge) {
        parts.push("...");
        i = n - edge;
      }
      parts.push(visit(axis + 1, offset + (i * block) / n, block / n));
    }
    const indent = " ".repeat(axis + 1);
    const inner = shape.length - axis - 1;
    return `[${inner === 0 ? wrap(parts, indent) : parts.join("\n".repeat(inner) + indent)}]`;
  };
  return visit(0, 0, size);
}

function wrap(words: readonly string[], indent: string): string {
  let [text, line] = ["", indent];
  for (const word of words) {
    if (line.length + word.length > lineWidth - indent.length && line !== indent) {
      text += `${line.trimEnd()}\n`;
      line = indent;
    }
    line += `${word} `;
  }
  return (text + line).slice(indent.length, -1);
}

/** How the numbers of a tensor are written so that columns align. */
function wordOf(dtype: DType, values: readonly number[]): Word {
  const word = dtype === "bool" ? truth : dtype === "int32" ? String : realWord(values, dtype);
  const width = largest(
    values.map((v) => word(v).length),
    dtype === "bool" ? 5 : 0,
  );
  return (v) => word(v).padStart(width);
}

function truth(v: number): string {
  return v === 0 ? "false" : "true";
}

function realWord(values: readonly number[], dtype: DType): Word {
  const finite = values.filter(Number.isFinite);
  const sizes = finite.map((v) => Math.abs(shortest(v, dtype))).filter((v) => v > 0);
  const [least, most] = [sizes.reduce((a, b) => Math.min(a, b), Infinity), largest(sizes)];
  const scientific = most >= (dtype === "float32" ? 1e6 : 1e8) || least < 1e-4 || most / least > 1000;
  const digits = scientific ? scientificDigits : positionalDigits;
  const parts = finite.map((v) => digits(v, dtype));
  const longest = (part: "fraction" | "exponent"): number =>
    largest(
      parts.map((p) => p[part].length),
      0,
    );
  const [fractionWidth, exponentWidth] = [longest("fraction"), longest("exponent")];
  return (v) => {
    if (!Number.isFinite(v)) return nonfinite(v);
    const { whole, fraction, exponent } = digits(v, dtype, scientific ? fractionWidth : undefined);
    if (!scientific) return `${whole}.${fraction.padEnd(fractionWidth)}`;
    return `${whole}.${fraction}e${exponent[0]}${exponent.slice(1).padStart(exponentWidth - 1, "0")}`;
  };
}

/** In a loop: a call cannot take as many arguments as a tensor has elements. */
function largest(values: readonly number[], from = -Infinity): number {
  return values.reduce((a, b) => Math.max(a, b), from);
}

interface Digits {
  readonly whole: string;
  readonly fraction: string;
  /** A sign and two digits or more. */
  readonly exponent: string;
}

function positionalDigits(v: number, dtype: DType): Digits {
  const exact = String(Math.abs(shortest(v, dtype))).split(".");
  const [whole, fraction = ""] =
    (exact[1] ?? "").length > precision ? Math.abs(v).toFixed(precision).split(".") : exact;
  return { whole: signOf(v) + whole, fraction: fraction.replace(/0+$/, ""), exponent: "" };
}

/** With a given number of digits behind the point those of the stored number, else as few as tell it from its neighbours. */
function scientificDigits(v: number, dtype: DType, digits?: number): Digits {
  const fewest = Math.abs(shortest(v, dtype)).toExponential();
  const count = digits ?? Math.min(precision, Math.max(0, fewest.indexOf("e") - 2));
  const [mantissa, power] = Math.abs(v).toExponential(count).split("e");
  const [whole, written = ""] = mantissa.split(".");
  const fraction = digits === undefined ? written.replace(/0+$/, "") : written;
  return { whole: signOf(v) + whole, fraction, exponent: power[0] + power.slice(1).padStart(2, "0") };
}

/** A tensor without axes, as one number. */
function scalar(v: number, dtype: DType): string {
  if (dtype === "bool") return truth(v);
  if (dtype === "int32") return String(v);
  if (!Number.isFinite(v)) return nonfinite(v);
  const size = Math.abs(shortest(v, dtype));
  if (size === 0 || (size >= 1e-4 && size < (dtype === "float32" ? 1e6 : 1e16)))
    return signOf(v) + (Number.isInteger(size) ? `${size}.0` : String(size));
  return signOf(v) + size.toExponential().replace(/e(.)(\d)$/, "e$10$2");
}

function nonfinite(v: number): string {
  return Number.isNaN(v) ? "nan" : v > 0 ? "inf" : "-inf";
}

function signOf(v: number): string {
  return v < 0 || Object.is(v, -0) ? "-" : "";
}

/** The number with the fewest decimal digits that is stored as v. */
function shortest(v: number, dtype: DType): number {
  if (dtype !== "float32" || !Number.isFinite(v)) return v;
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(v.toPrecision(digits));
    if (Math.fround(rounded) === v) return rounded;
  }
  return Number(v.toPrecision(9));
}
