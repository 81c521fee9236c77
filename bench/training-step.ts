import { jit, random, type Stats, type Tensor, tensor, valueAndGrad } from "@fmmformer/autodiff";
import { accuracy, adamw, applyUpdates, type Batch, crossEntropy, fmmformer } from "@fmmformer/models";
import type { Settings } from "./case.ts";

/** A model in training, with everything drawn and nothing compiled. */
export interface TrainingStep {
  readonly shape: string;
  /** One step, from where the last one ended; the loss, in nats: of an engine that answers later, a promise of it. */
  run(): number | Promise<number>;
  stats(): Stats | null;
}

const [vocabulary, classes] = [20, 10];

/** The step that `train` compiles, of the model that all peers are measured with: 2 layers of width 64, both fields. */
export function trainingStep({ engine, tokens = 2048, batch = 4 }: Settings): TrainingStep {
  const model = fmmformer({
    vocabulary,
    classes,
    length: tokens,
    layers: 2,
    width: 64,
    heads: 2,
    hidden: 128,
    attention: { kind: "fmm", bandwidth: 11, kernels: ["elu"] },
  });
  const optimizer = adamw({ learningRate: 1e-3 });
  const step = jit(
    (params: ReturnType<typeof model.init>, state: unknown, examples: Batch, key: Tensor) => {
      const loss = (p: typeof params): readonly [Tensor, Tensor] => {
        const logits = model.apply(p, examples.tokens, { mask: examples.mask, key });
        return [crossEntropy(logits, examples), accuracy(logits, examples)];
      };
      const [[value, share], grads] = valueAndGrad(loss, { hasAux: true })(params);
      const [updates, next] = optimizer.update(grads, state as ReturnType<typeof optimizer.init>, params);
      return { params: applyUpdates(params, updates), state: next as unknown, loss: value, accuracy: share };
    },
    { engine, donate: [0, 1] },
  );

  const [ofParams, ofStep] = random.split(random.key(0));
  const examples = drawnBatch(batch, tokens);
  let params = model.init(ofParams);
  let state: unknown = optimizer.init(params);
  return {
    shape: `b${batch} n${tokens} c64 h2`,
    run() {
      const noted = (done: ReturnType<typeof step>): number => {
        ({ params, state } = done);
        return done.loss.item();
      };
      const done: unknown = step(params, state, examples, ofStep);
      return done instanceof Promise ? done.then(noted) : noted(done as ReturnType<typeof step>);
    },
    stats: step.stats,
  };
}

function drawnBatch(b: number, n: number): Batch {
  const whole = (size: number, below: number): Int32Array =>
    Int32Array.from({ length: size }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 8) % below); // Knuth's hash
  return {
    tokens: tensor(whole(b * n, vocabulary), { shape: [b, n] }),
    mask: null,
    labels: tensor(whole(b, classes), { shape: [b] }),
  };
}
