import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jit, ones, onesLike, type Tensor, tensor, vjp, zeros } from "@fmmformer/autodiff";
import { farField, featureMaps, fullAttention, nearField, softmaxCrossEntropy } from "@fmmformer/kernels";
import { runsAlikeOn } from "@fmmformer/kernels/laws";
import { closeModes, openModes } from "./modes.ts";
import { opCases, tokens } from "./op-cases.ts";

// Law 8 for every composed op in each mode: its kernels compute what its decomposition says, and so do those of its pullback.

const modes = await openModes();
after(() => closeModes(modes));

for (const engine of modes.engines) {
  for (const { name, op, args, tolerance = 1e-5 } of opCases) {
    test(`${name}, runs in mode ${engine.mode} as without an engine`, async () => {
      await runsAlikeOn(op, args as Tensor[], engine, { tolerance });
    });
  }
}

for (const engine of modes.engines) {
  test(`rows without keys are exactly 0 in mode ${engine.mode}, and have gradient 0`, async () => {
    const mask = zeros([1, 6]);
    const ops = [
      (q: Tensor, k: Tensor, v: Tensor): Tensor => nearField(q, k, v, { bandwidth: 2, mask }),
      (q: Tensor, k: Tensor, v: Tensor): Tensor => fullAttention(q, k, v, { mask }),
      (q: Tensor, k: Tensor, v: Tensor): Tensor => farField(q, k, v, { features: [featureMaps.elu], mask, eps: 0 }),
    ];
    for (const op of ops) {
      const both = jit(
        (...xs: [Tensor, Tensor, Tensor]) => {
          const [o, pull] = vjp(op, ...xs);
          return [o, ...pull(onesLike(o))];
        },
        { engine },
      );
      const [q, k, v] = tokens(1, 2, 6, 3, 4);
      for (const y of await both(q, k, v)) assert.ok(y.data.every((x: number) => x === 0));
    }
  });
}

test("a label that is no class is told as the value rule tells it", async () => {
  const [engine] = modes.engines;
  const loss = jit((x: Tensor, y: Tensor) => softmaxCrossEntropy(x, y), { engine });
  const labels = tensor([0, 3], { dtype: "int32" });
  await assert.rejects(() => loss(ones([2, 3]), labels), /^RangeError: take: expected indices from 0 to 2, got 3; /);
});
