import { add, cast, mul, random, type Tensor, treeMap } from "@fmmformer/autodiff";

/** Parameters in float64, moved by random numbers, so that none is 0 or 1 and hides what it multiplies. */
export function shaken<Params>(params: Params, key: Tensor = random.key(7)): Params {
  let i = 0;
  return treeMap((x) => {
    const noise = random.normal(random.fold(key, i++), (x as Tensor).shape, { dtype: "float64" });
    return add(cast(x, "float64"), mul(noise, 0.3));
  }, params);
}
