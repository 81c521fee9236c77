// Times the training step of `npm run bench -- step` in jax-js (wasm), and prints the same line: see README.md.
//
// The near field is blocked, as in step.py: a block of queries attends to its keys and a window on each side. Tokens are embedded by a
// product with one-hot rows, since the gradient of a gather cannot be compiled. An operand that is used again is `x.ref`.
import { measure } from "./measure.mjs";

globalThis.navigator ??= { userAgent: "node", hardwareConcurrency: 1 }; // Node 20 has none, and init reads it
const { init, defaultDevice, jit, nn, numpy: np, random, tree, valueAndGrad } = await import("@jax-js/jax");

const [vocabulary, classes, width, heads, hidden, layers] = [20, 10, 64, 2, 128, 2];
const side = 10; // keys on each side: bandwidth 11
const block = 16; // queries

function nearField(q, k, v) {
  const [b, h, n, d] = q.shape;
  const blocks = n / block;
  const span = block + 2 * side;
  /** Rows of each block and of a window around it: (b, h, blocks, span, d) */
  const around = (x) => {
    const own = x.reshape([b, h, blocks, block, d]);
    const none = np.zeros([b, h, 1, side, d]);
    const before = np.concatenate([none.ref, own.ref.slice([], [], [0, blocks - 1], [block - side, block])], 2);
    const after = np.concatenate([own.ref.slice([], [], [1, blocks], [0, side]), none], 2);
    return np.concatenate([before, own, after], 3);
  };
  const scores = np.matmul(q.mul(d ** -0.5).reshape([b, h, blocks, block, d]), np.matrixTranspose(around(k)));
  const weights = nn.softmax(scores.add(outsideBand(blocks, span)), -1);
  return np.matmul(weights, around(v)).reshape([b, h, n, d]);
}

/** 0 inside the band and the sequence, −10⁹ outside: (blocks, block, span) */
function outsideBand(blocks, span) {
  const values = Float32Array.from({ length: blocks * block * span }, (_, at) => {
    const [s, i, j] = [at % span, Math.floor(at / span) % block, Math.floor(at / span / block)];
    const key = j * block + s - side;
    return s >= i && s <= i + 2 * side && key >= 0 && key < blocks * block ? 0 : -1e9;
  });
  return np.array(values).reshape([blocks, block, span]);
}

function farField(q, k, v) {
  const [a, b] = [nn.elu(q).add(1), nn.elu(k).add(1)];
  const total = np.sum(b.ref, -2, { keepdims: true }); // (b, h, 1, d)
  const read = np.matmul(a.ref, np.matmul(np.matrixTranspose(b), v));
  return read.div(np.matmul(a, np.matrixTranspose(total)).add(1e-6));
}

const linear = ({ w, b }, x) => np.matmul(x, w).add(b);
const norm = ({ scale, shift }, x) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(scale).add(shift);

function attend(p, x) {
  const [b, n] = x.shape;
  const apart = (w) => np.moveaxis(linear(w, x.ref).reshape([b, n, heads, width / heads]), 1, 2);
  const [q, k, v] = [apart(p.q), apart(p.k), apart(p.v)];
  x.dispose();
  const near = nearField(q.ref, k.ref, v.ref).mul(p.near);
  const o = near.add(farField(q, k, v).mul(p.far));
  return linear(p.outward, np.moveaxis(o, 1, 2).reshape([b, n, width]));
}

function lossOf(p, rows, labels) {
  let x = np.matmul(rows, p.tokens).add(p.places);
  for (const layer of p.layers) {
    x = x.ref.add(attend(layer, norm(layer.norm1, x)));
    x = x.ref.add(linear(layer.down, nn.gelu(linear(layer.up, norm(layer.norm2, x)), { approximate: false })));
  }
  const pooled = np.mean(norm(p.norm, x), 1);
  const logits = linear(p.head2, nn.relu(linear(p.head1, pooled)));
  return np.mean(np.sum(nn.logSoftmax(logits, -1).mul(labels), -1)).mul(-1);
}

function initial(tokens) {
  let seed = 0;
  const normal = (shape, scale) => random.normal(random.key(seed++), shape).mul(scale);
  const dense = (from, to) => ({ w: normal([from, to], from ** -0.5), b: np.zeros([to]) });
  const ones = () => ({ scale: np.ones([width]), shift: np.zeros([width]) });
  const layer = () => ({
    norm1: ones(),
    q: dense(width, width),
    k: dense(width, width),
    v: dense(width, width),
    near: np.ones([heads, 1, 1]),
    far: np.zeros([heads, 1, 1]),
    outward: dense(width, width),
    norm2: ones(),
    up: dense(width, hidden),
    down: dense(hidden, width),
  });
  return {
    tokens: normal([vocabulary, width], 1),
    places: normal([tokens, width], 0.02),
    layers: Array.from({ length: layers }, layer),
    norm: ones(),
    head1: dense(width, hidden),
    head2: dense(hidden, classes),
  };
}

/** AdamW without the correction of its first steps, which is a matter of two scalars. */
function updated(p, g, { m, v }) {
  const [rate, decay, beta1, beta2] = [1e-3, 1e-2, 0.9, 0.999];
  const means = tree.map((a, b) => a.mul(beta1).add(b.mul(1 - beta1)), m, tree.ref(g));
  const squares = tree.map((a, b) => a.mul(beta2).add(np.square(b).mul(1 - beta2)), v, g);
  const next = tree.map(
    (x, a, b) => x.mul(1 - rate * decay).sub(a.mul(rate).div(np.sqrt(b).add(1e-8))),
    p,
    tree.ref(means),
    tree.ref(squares),
  );
  return [next, { m: means, v: squares }];
}

function drawn(size, below) {
  return np.array(Int32Array.from({ length: size }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 8) % below));
}

function timeStep(batch, tokens) {
  const step = jit((p, state, rows, labels) => {
    const [loss, g] = valueAndGrad(lossOf)(tree.ref(p), rows, labels);
    return [loss, ...updated(p, g, state)];
  });
  let params = initial(tokens);
  const zeros = () => tree.map((x) => np.zerosLike(x), tree.ref(params));
  let state = { m: zeros(), v: zeros() };
  const rows = nn.oneHot(drawn(batch * tokens, vocabulary).reshape([batch, tokens]), vocabulary);
  const labels = nn.oneHot(drawn(batch, classes), classes);
  const times = measure(() => {
    const [loss, ...next] = step(params, state, rows.ref, labels.ref);
    [params, state] = next;
    return loss.dataSync()[0];
  });
  const shape = `b${batch} n${tokens} c${width} h${heads}`;
  const line = { case: "step", engine: "jax-js", threads: 1, shape, ...times, flop: null, peakBytes: null };
  console.log(JSON.stringify(line));
}

await init("wasm");
defaultDevice("wasm");
timeStep(4, 2048);
timeStep(2, 64);
