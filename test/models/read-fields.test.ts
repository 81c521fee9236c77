import assert from "node:assert/strict";
import { test } from "node:test";
import { add, matmul, mul, random, reshape, slice, type Tensor, take, tensor } from "@fmmformer/autodiff";
import { agree } from "@fmmformer/kernels/laws";
import {
  type Attention,
  type AttentionOptions,
  attention,
  type FmmParams,
  fmmformer,
  readFields,
} from "@fmmformer/models";
import { shaken } from "./parameters.ts";

const n = 7;
const sizes = { vocabulary: 5, length: n, classes: 3, width: 8, heads: 2, layers: 2, std: 1 } as const;
const tokens = tensor([1, 4, 0, 2, 2, 3, 1], { dtype: "int32" });

for (const disjoint of [false, true]) {
  const own: AttentionOptions = {
    ...{ kind: "fmm", bandwidth: 3, kernels: ["elu", "sigmoid"], relativeBias: true, disjoint },
  };
  test(`maps of both fields${disjoint ? ", disjoint," : ""} are what attention does to its values`, () => {
    const options = { ...sizes, attention: own };
    const params = shaken(fmmformer(options).init(random.key(0)));
    const whole = attention(own, { ...sizes, headWidth: 4, causal: false }) as Attention<FmmParams>;
    const seen: { readonly weights: FmmParams; readonly v: Tensor; readonly o: Tensor }[] = [];
    const watching: Attention<FmmParams> = {
      init: whole.init,
      apply(weights, q, k, v, call) {
        const o = whole.apply(weights, q, k, v, call);
        seen.push({ weights, v, o });
        return o;
      },
    };
    fmmformer({ ...options, attention: watching as Attention }).apply(params, reshape(tokens, [1, n]));

    for (const [layer, { weights, v, o }] of seen.entries()) {
      for (const head of [0, 1]) {
        const { near, far } = readFields(options, params, tokens, { layer, head });
        const ofHead = (x: Tensor): Tensor => reshape(slice(x, [0, head], [1, head + 1]), [n, 4]);
        const [first, second] = [near, far].map(({ data }) =>
          matmul(tensor(Float64Array.from(data), { shape: [n, n] }), ofHead(v)),
        );
        const { near: w1, far: w2 } = weights.blend as { readonly near: Tensor; readonly far: Tensor };
        const both = add(mul(take(w1, head), first), mul(take(w2, head), second));
        agree(`layer ${layer}, head ${head}`, both, ofHead(o), { tolerance: 1e-6 });
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) {
            const inside = Math.abs(i - j) < 3;
            assert.equal(near.data[i * n + j] > 0, inside);
            assert.equal(far.data[i * n + j] > 0, !inside || !disjoint);
          }
        }
      }
    }
    assert.equal(seen.length, 2);
  });
}

test("a layer or head that is not there is told", () => {
  const options = { ...sizes, attention: { kind: "fmm" } } as const;
  const params = fmmformer(options).init(random.key(0));
  for (const [place, got] of [
    [{ layer: 2 }, "2 and 0"],
    [{ head: 2 }, "0 and 2"],
  ] as const) {
    assert.throws(() => readFields(options, params, tokens, place), {
      name: "RangeError",
      message: `readFields: expected layer < 2 and head < 2, got ${got}`,
    });
  }
});
