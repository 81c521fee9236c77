import { DTypeError } from "./errors.ts";

export type DType = "float32" | "float64" | "int32" | "bool";

/** The row-major storage of a tensor; a bool is a byte, 0 or 1. */
export type Data = Float32Array | Float64Array | Int32Array | Uint8Array;

const order: readonly DType[] = ["bool", "int32", "float32", "float64"];

/** Check that what a caller gives as a dtype is one. */
export function checkDType(op: string, dtype: DType): void {
  if (order.includes(dtype)) return;
  throw new DTypeError(`${op}: expected a dtype of bool, int32, float32 or float64, got ${JSON.stringify(dtype)}`);
}

/** Whether values of this dtype carry gradients. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64";
}

/** The dtype of a result of two: the later in bool, int32, float32, float64. */
export function promote(a: DType, b: DType): DType {
  return order[Math.max(order.indexOf(a), order.indexOf(b))] as DType;
}

/** Zeroed storage for `size` values. */
export function allocate(dtype: DType, size: number): Data {
  switch (dtype) {
    case "float32":
      return new Float32Array(size);
    case "float64":
      return new Float64Array(size);
    case "int32":
      return new Int32Array(size);
    case "bool":
      return new Uint8Array(size);
  }
}

/** The dtype whose storage this is. */
export function dtypeOf(data: Data): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  return data instanceof Int32Array ? "int32" : "bool";
}
