import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { checkDType, type DType } from "../dtype.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";

interface CastParams {
  readonly dtype: DType;
  readonly weak: boolean;
}

export const castPrimitive: Primitive<CastParams> = definePrimitive<CastParams>({
  name: "cast",
  shape: ([x], { dtype, weak }) => ({ shape: x.shape, dtype, weak }),
  value(out, [x], { dtype }) {
    if (dtype === "bool") for (let i = 0; i < out.length; i++) out[i] = x.data[i] !== 0 ? 1 : 0;
    else out.set(x.data);
  },
  fill: ([v], { dtype }) =>
    dtype === "bool" ? Number(v !== 0) : dtype === "int32" ? v | 0 : dtype === "float32" ? Math.fround(v) : v,
  vjp: (g, [{ dtype, weak }]) => [() => apply(castPrimitive, [g], { dtype, weak })],
  batch: (_, [x], __, params) => apply(castPrimitive, [x], params),
  show: ({ dtype }) => dtype,
});

/** Convert to a dtype: to int32 towards zero and modulo 2³², to bool as `x ≠ 0`. */
export function cast(x: Scalar, dtype: DType): Tensor {
  const t = asTensor("cast", x);
  if (t.dtype === dtype && !t.weak) return t;
  checkDType("cast", dtype);
  return apply(castPrimitive, [t], { dtype, weak: false });
}
