// npm run bench [-- NAME …]: benny suites on the plain engine. Medians and minima are what benny keeps in `details`.
import { type Engine, grad, jit, matmul, plain, random, sum, type Tensor } from "@fmmformer/autodiff";
import { farField, featureMaps, fullAttention, nearField } from "@fmmformer/kernels";
import { adamw, digits, fmmformer, train } from "@fmmformer/models";
import benny from "benny";

const engine: Engine = plain;
const drawn = (shape: readonly number[]): Tensor => random.normal(random.key(shape.length), shape);

/** What a suite times: a name for each case, and what is run again and again. */
type Cases = { readonly [name: string]: () => unknown };

const suites: { readonly [name: string]: () => Cases } = {
  matmul: () =>
    Object.fromEntries(
      [128, 256, 512].map((n) => {
        const [a, b] = [drawn([n, n]), drawn([n, n])];
        return [`${n}³`, () => matmul(a, b)];
      }),
    ),
  near: () => attentionCases((q, k, v) => nearField(q, k, v, { bandwidth: 11 }), [1024, 4096]),
  far: () => attentionCases((q, k, v) => farField(q, k, v, { features: [featureMaps.elu] }), [1024, 4096]),
  full: () => attentionCases((q, k, v) => fullAttention(q, k, v), [256, 512]),
  step: () => {
    const task = digits({ side: 14 });
    const { vocabulary, length, classes } = task;
    const model = fmmformer({ vocabulary, length, classes, width: 24, hidden: 48, layers: 1 });
    return {
      "digits, batch 16, five steps and compiling": () =>
        train(model, task, { steps: 5, batchSize: 16, optimizer: adamw({ learningRate: 1e-3 }), engine }),
    };
  },
};

/** Forward, and forward with backward, of attention in 4 heads of width 32. */
function attentionCases(attend: (q: Tensor, k: Tensor, v: Tensor) => Tensor, lengths: readonly number[]): Cases {
  const cases = lengths.flatMap((n): [string, () => unknown][] => {
    const [q, k, v] = [0, 1, 2].map(() => drawn([1, 4, n, 32]));
    const forward = jit(attend, { engine });
    const backward = jit(
      grad((...x: [Tensor, Tensor, Tensor]) => sum(attend(...x)), { argnums: [0, 1, 2] }),
      { engine },
    );
    return [
      [`n ${n}, forward`, () => forward(q, k, v)],
      [`n ${n}, forward and backward`, () => backward(q, k, v)],
    ];
  });
  return Object.fromEntries(cases);
}

const chosen = process.argv.slice(2);
const unknown = chosen.find((name) => !(name in suites));
if (unknown) {
  console.error(`bench: expected ${Object.keys(suites).join(", ")}, got ${unknown}`);
  process.exit(1);
}
for (const [name, cases] of Object.entries(suites)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const added = Object.entries(cases()).map(([label, run]) => benny.add(label, () => void run()));
  const { results } = await benny.suite(`${name} (${engine.name} engine)`, ...added);
  for (const { name: label, details } of results) {
    const ms = (seconds: number): string => (1000 * seconds).toFixed(2).padStart(9);
    console.log(`${name.padEnd(8)}${label.padEnd(44)} median ${ms(details.median)} ms, minimum ${ms(details.min)} ms`);
  }
}
