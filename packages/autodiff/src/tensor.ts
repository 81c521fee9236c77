import { allocate, checkDType, type Data, type DType, dtypeOf } from "./dtype.ts";
import { DTypeError, ShapeError, showShape } from "./errors.ts";
import { format } from "./format.ts";
import { checkShape, sizeOf } from "./shape.ts";

/** Nested arrays of numbers or booleans, all rows of equal length. */
export type Nested = number | boolean | readonly Nested[];

/** What is known of a value before it is computed. `weak` marks a plain number: it takes the dtype of its partner. */
export interface Aval {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly weak: boolean;
}

/** Told by name, not by class: two copies of this package know each other's tensors. */
const brand = Symbol.for("fmmformer.tensor");

/** An immutable array of numbers in row-major order, or a tracer that stands for one inside a transformation. */
export abstract class Tensor implements Aval {
  abstract readonly shape: readonly number[];
  abstract readonly dtype: DType;
  abstract readonly weak: boolean;
  /** The numbers, row-major. Do not write to them: tensors share storage. */
  abstract readonly data: Data;

  get size(): number {
    return sizeOf(this.shape);
  }

  /** The one number of a tensor of size 1. */
  item(): number {
    if (this.size !== 1) {
      throw new ShapeError(`item: expected one element, got shape ${showShape(this.shape)}; reduce it first`);
    }
    return this.data[0];
  }

  /** Nested arrays: numbers, or booleans where the dtype is bool. */
  toArray(): Nested {
    const { shape, data, dtype } = this;
    let at = 0;
    const build = (axis: number): Nested => {
      if (axis < shape.length) return Array.from({ length: shape[axis] }, () => build(axis + 1));
      return dtype === "bool" ? data[at++] !== 0 : data[at++];
    };
    return build(0);
  }

  toString(): string {
    return format(this);
  }

  [Symbol.toPrimitive](hint: string): string | number {
    if (hint === "string") return this.toString();
    throw new TypeError(
      "tensor: expected an op, got a JavaScript operator; write add(x, y), not x + y, and x.item() for a number",
    );
  }
}

// Names that declarations cannot spell.
Object.defineProperties(Tensor.prototype, {
  [brand]: { value: true },
  [Symbol.for("nodejs.util.inspect.custom")]: { value: Tensor.prototype.toString },
});

/** A number, or a tensor: what most ops take. A number takes the dtype of the tensor that it meets. */
export type Scalar = Tensor | number;

/**
 * A tensor that has its numbers. One that was filled with a single number stores that number until it is read; one that an engine keeps
 * in its own memory is copied from there when it is read.
 */
export class Dense extends Tensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly weak: boolean;
  /** The number that fills the whole tensor, where that is known. */
  readonly fill: number | undefined;
  #data: Data | undefined;
  readonly #fetch: (() => Data) | undefined;

  constructor({ shape, dtype, weak }: Aval, content: Data | number | (() => Data)) {
    super();
    this.shape = shape;
    this.dtype = dtype;
    this.weak = weak;
    if (typeof content === "number") this.fill = content;
    else if (typeof content === "function") this.#fetch = content;
    else this.#data = content;
  }

  /** The same numbers under another shape. */
  as(aval: Aval): Dense {
    return new Dense(aval, this.fill ?? this.data);
  }

  get data(): Data {
    this.#data ??= this.#fetch ? this.#fetch() : allocate(this.dtype, this.size).fill(this.fill as number);
    return this.#data;
  }
}

export function isTensor(x: unknown): x is Tensor {
  return typeof x === "object" && x !== null && brand in x;
}

/** A plain number as a tensor: a weak float64 scalar. */
export function weakScalar(x: number): Dense {
  return new Dense({ shape: [], dtype: "float64", weak: true }, x);
}

/**
 * A number or tensor as a tensor.
 *
 * @throws TypeError when it is neither, or a tracer of another copy of this package: what that traces would be lost here
 */
export function asTensor(op: string, x: Scalar): Tensor {
  if (typeof x === "number") return weakScalar(x);
  if (x instanceof Tensor) return x;
  if (!isTensor(x))
    throw new TypeError(`${op}: expected a tensor or a number, got ${describe(x)}; wrap arrays with tensor(…)`);
  if (!("trace" in x)) return x;
  throw new TypeError(
    `${op}: expected values of one copy of @fmmformer/autodiff, got a tracer of another; ` +
      "two copies are loaded, make them one (npm ls @fmmformer/autodiff lists them)",
  );
}

/** A tensor as one of this copy of the package: one that another copy made hands over its numbers. */
export function own(op: string, x: Tensor): Tensor {
  if (x instanceof Tensor) return x;
  const other = asTensor(op, x) as Dense;
  return new Dense(other, other.fill ?? (() => other.data));
}

/** What was given, in a word, for error messages. */
export function describe(x: unknown): string {
  if (isTensor(x)) return `a tensor of shape ${showShape(x.shape)}`;
  if (x === null || x === undefined) return String(x);
  if (typeof x === "object")
    return Array.isArray(x) ? "an array" : `an object of class ${x.constructor?.name ?? "none"}`;
  return typeof x === "string" ? JSON.stringify(x) : `a ${typeof x}`;
}

function nestedShape(values: Nested): number[] {
  const shape: number[] = [];
  for (let v = values; Array.isArray(v); v = v[0]) {
    shape.push(v.length);
    if (v.length === 0) break;
  }
  return shape;
}

/**
 * Make a tensor from a number, a boolean, nested arrays of them, or a typed array.
 *
 * Numbers become float32 and booleans bool unless `dtype` says otherwise; a typed array keeps its kind and is used as it is,
 * without a copy.
 *
 * @param values - what to hold, in row-major order
 * @param options.shape - the shape, where the values are flat; default: as nested
 * @throws ShapeError when rows differ in length, or the shape holds another number of values
 */
export function tensor(
  values: Nested | Data,
  options: { readonly shape?: readonly number[]; readonly dtype?: DType } = {},
): Tensor {
  if (options.dtype !== undefined) checkDType("tensor", options.dtype);
  if (ArrayBuffer.isView(values)) return fromData(values as Data, options);
  const nested = nestedShape(values as Nested);
  const flat: number[] = [];
  let booleans = true;
  const visit = (v: Nested, axis: number): void => {
    if (Array.isArray(v) && axis < nested.length) {
      if (v.length !== nested[axis]) {
        throw new ShapeError(`tensor: expected rows of length ${nested[axis]} at depth ${axis}, got ${v.length}`);
      }
      for (const row of v) visit(row, axis + 1);
    } else if (axis !== nested.length || (typeof v !== "number" && typeof v !== "boolean")) {
      throw new TypeError(`tensor: expected numbers nested ${nested.length} deep, got ${describe(v)} at depth ${axis}`);
    } else {
      booleans &&= typeof v === "boolean";
      flat.push(Number(v));
    }
  };
  visit(values as Nested, 0);
  const dtype = options.dtype ?? (booleans && flat.length > 0 ? "bool" : "float32");
  const data = allocate(dtype, flat.length);
  data.set(dtype === "bool" ? flat.map((v) => Number(v !== 0)) : flat);
  return fromData(data, { shape: options.shape ?? nested });
}

function fromData(data: Data, options: { readonly shape?: readonly number[]; readonly dtype?: DType }): Tensor {
  if (
    !(
      data instanceof Float32Array ||
      data instanceof Float64Array ||
      data instanceof Int32Array ||
      data instanceof Uint8Array
    )
  ) {
    throw new DTypeError(
      `tensor: expected a Float32Array, Float64Array, Int32Array or Uint8Array, got ${describe(data)}; convert it first`,
    );
  }
  const shape = options.shape ?? [data.length];
  checkShape("tensor", shape);
  if (sizeOf(shape) !== data.length) {
    throw new ShapeError(`tensor: expected ${sizeOf(shape)} values for shape ${showShape(shape)}, got ${data.length}`);
  }
  const own = dtypeOf(data);
  const dtype = options.dtype ?? own;
  const aval = { shape, dtype, weak: false };
  if (dtype !== own) {
    const converted = allocate(dtype, data.length);
    converted.set(dtype === "bool" ? data.map((v) => Number(v !== 0)) : data);
    return new Dense(aval, converted);
  }
  const odd = own === "bool" ? data.find((v) => v > 1) : undefined;
  if (odd === undefined) return new Dense(aval, data);
  throw new DTypeError(
    `tensor: expected 0 or 1 in a Uint8Array, which holds bools, got ${odd}; give { dtype } for bytes`,
  );
}

/** A tensor filled with one number, float32 by default. */
export function full(shape: readonly number[], value: number, options: { readonly dtype?: DType } = {}): Tensor {
  checkShape("full", shape);
  const { dtype = "float32" } = options;
  checkDType("full", dtype);
  const [stored] = allocate(dtype, 1).fill(dtype === "bool" ? Number(value !== 0) : value);
  return new Dense({ shape, dtype, weak: false }, stored);
}

export function zeros(shape: readonly number[], options: { readonly dtype?: DType } = {}): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: readonly number[], options: { readonly dtype?: DType } = {}): Tensor {
  return full(shape, 1, options);
}

/** Zeros of the shape and dtype of another value. */
export function zerosLike(x: Aval): Tensor {
  return new Dense({ shape: x.shape, dtype: x.dtype, weak: x.weak }, 0);
}

/** Ones of the shape and dtype of another value. */
export function onesLike(x: Aval): Tensor {
  return new Dense({ shape: x.shape, dtype: x.dtype, weak: x.weak }, 1);
}
