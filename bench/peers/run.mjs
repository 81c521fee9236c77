// Times peers at what `npm run bench` times, and prints the same lines: see README.md.
import { measure } from "./measure.mjs";

/** What a peer is asked to do; `flop` as we count it for ours. */
const cases = [
  ...[512, 1024].map((n) => ({
    name: "matmul NN",
    shape: `${n}×${n}×${n}`,
    inputs: [
      [n, n],
      [n, n],
    ],
    op: "matmul",
    flop: 2 * n ** 3,
  })),
  { name: "softmax forward", shape: "b1 h4 n1024 d32", inputs: Array(3).fill([1, 4, 1024, 32]), op: "softmax" },
  {
    name: "far bidirectional forward",
    shape: "b1 h4 n4096 d32",
    inputs: Array(3).fill([1, 4, 4096, 32]),
    op: "linear",
  },
  { name: "elementwise gelu(x)·y + z", shape: "4000000", inputs: Array(3).fill([4_000_000]), op: "gelu" },
];

/** How each peer is loaded: tensors from arrays, and the ops, which return when the result is there. */
const peers = { "tfjs-wasm": loadTfjs, "jax-js": loadJax };

async function loadTfjs() {
  const tf = await import("@tensorflow/tfjs");
  await import("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  const phi = (x) => tf.add(tf.elu(x), 1);
  const ops = {
    matmul: (a, b) => tf.matMul(a, b),
    softmax: (q, k, v) => tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), 32 ** -0.5)), v),
    linear: (q, k, v) => {
      const [a, b] = [phi(q), phi(k)];
      const total = tf.sum(b, 2, true); // (b, h, 1, d)
      return tf.div(tf.matMul(a, tf.matMul(b, v, true)), tf.matMul(a, total, false, true));
    },
    gelu: (x, y, z) => tf.add(tf.mul(tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)), y), z),
  };
  return {
    tensor: (data, shape) => tf.tensor(data, shape),
    compile: (op) => (inputs) => {
      const y = tf.tidy(() => ops[op](...inputs));
      const data = y.dataSync(); // outside of tidy, which would search what it returns for tensors
      y.dispose();
      return data;
    },
  };
}

async function loadJax() {
  globalThis.navigator ??= { userAgent: "node", hardwareConcurrency: 1 }; // Node 20 has none, and init reads it
  const { init, defaultDevice, jit, nn, numpy: np } = await import("@jax-js/jax");
  await init("wasm");
  defaultDevice("wasm");
  const phi = (x) => nn.elu(x).add(1);
  const last = (x) => np.moveaxis(x, -1, -2);
  const ops = {
    matmul: (a, b) => np.matmul(a, b),
    softmax: (q, k, v) => np.matmul(nn.softmax(np.matmul(q, last(k)).mul(32 ** -0.5), -1), v),
    linear: (q, k, v) => {
      const [a, b] = [phi(q), phi(k)];
      const total = np.sum(b.ref, -2, { keepdims: true }); // (b, h, 1, d)
      return np.matmul(a.ref, np.matmul(last(b), v)).div(np.matmul(a, last(total)));
    },
    gelu: (x, y, z) => nn.gelu(x, { approximate: false }).mul(y).add(z),
  };
  return {
    tensor: (data, shape) => np.array(data).reshape(shape),
    compile(op) {
      const f = jit(ops[op]);
      return (inputs) => f(...inputs.map((x) => x.ref)).dataSync();
    },
  };
}

/** Numbers in [−1, 1). */
function drawn(shape, seed) {
  const values = new Float32Array(shape.reduce((size, n) => size * n, 1));
  let state = seed;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
}

async function main(chosen) {
  const unknown = chosen.find((name) => !(name in peers));
  if (unknown !== undefined) {
    console.error(`peers: expected ${Object.keys(peers).join(" or ")}, got ${unknown}`);
    process.exitCode = 1;
    return;
  }
  for (const engine of chosen.length > 0 ? chosen : Object.keys(peers)) {
    const peer = await peers[engine]();
    for (const { name, shape, inputs, op, flop = null } of cases) {
      const tensors = inputs.map((sizes, i) => peer.tensor(drawn(sizes, i + 1), sizes));
      const run = peer.compile(op);
      const times = measure(() => run(tensors));
      const line = { case: name, engine, threads: 1, shape, ...times, flop, peakBytes: null };
      console.log(JSON.stringify(line));
      for (const x of tensors) x.dispose();
    }
  }
}

await main(process.argv.slice(2));
