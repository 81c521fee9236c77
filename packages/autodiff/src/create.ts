import { allocate, type DType } from "./dtype.ts";
import { Dense, full, type Tensor } from "./tensor.ts";

/** The whole numbers 0 … n − 1, int32 by default. */
export function iota(n: number, options: { readonly dtype?: DType } = {}): Tensor {
  const dtype = options.dtype ?? "int32";
  return filled([n], dtype, (i) => i);
}

/** Numbers from `start` to `stop`, both included, evenly spaced; float32 by default. */
export function linspace(start: number, stop: number, n: number, options: { readonly dtype?: DType } = {}): Tensor {
  const step = (stop - start) / Math.max(n - 1, 1);
  return filled([n], options.dtype ?? "float32", (i) => (i === n - 1 && n > 1 ? stop : start + i * step));
}

/** The identity matrix, (n, n). */
export function eye(n: number, options: { readonly dtype?: DType } = {}): Tensor {
  return filled([n, n], options.dtype ?? "float32", (at) => Number(at % (n + 1) === 0));
}

function filled(shape: readonly number[], dtype: DType, at: (i: number) => number): Tensor {
  const { size } = full(shape, 0, { dtype });
  const data = allocate(dtype, size);
  for (let i = 0; i < size; i++) data[i] = at(i);
  return new Dense({ shape, dtype, weak: false }, data);
}
