import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

// What only a process of its own shows: that it ends, and that its memory stays what it was.

function start(code: string, flags: readonly string[] = []): ChildProcess {
  return spawn(
    process.execPath,
    ["--conditions=@fmmformer/source", "--import=tsx", ...flags, "--input-type=module", "--eval", code],
    { stdio: ["ignore", "pipe", "pipe"], timeout: 30_000, killSignal: "SIGKILL" },
  );
}

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly errors: string;
  /** Since it said its last word, in ms */
  readonly after: number;
}

async function ended(child: ChildProcess): Promise<Ended> {
  const said = { out: "", errors: "" };
  let last = performance.now();
  child.stdout?.on("data", (text) => {
    said.out += text;
    last = performance.now();
  });
  child.stderr?.on("data", (text) => {
    said.errors += text;
  });
  const [code, signal] = await once(child, "close");
  return { code, signal, ...said, after: performance.now() - last };
}

const begin = `
import * as ad from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
const engine = wasm({ threads: 3 });
const f = ad.jit((x, i) => ad.sum(ad.exp(ad.take(x, i))), { engine });
const call = (i) => f(ad.ones([100, 100]), ad.tensor(Int32Array.of(i))).item();
`;

test("a process with idle workers ends by itself", async () => {
  const { code, out, errors, after } = await ended(
    start(
      `${begin} call(0); try { call(100); } catch (error) { console.log(error.name); } console.log(call(99).toFixed(2));`,
    ),
  );
  assert.deepEqual([code, out, errors], [0, "RangeError\n271.83\n", ""]);
  assert.ok(after < 3000, `after ${after} ms`);
});

test("a step that throws ends a process that does not catch", async () => {
  const { code, errors } = await ended(start(`${begin} console.log(call(0)); call(-1);`));
  assert.equal(code, 1);
  assert.match(errors, /RangeError: take: expected indices from 0 to 99, got -1; /);
});

test("Ctrl-C ends a process between any two steps, and within one", async () => {
  const child = start(`${begin} call(0); console.log("running"); for (;;) call(1);`);
  child.stdout?.once("data", () => setTimeout(() => child.kill("SIGINT"), 100));
  const { signal, after } = await ended(child);
  assert.equal(signal, "SIGINT");
  assert.ok(after < 2000, `after ${after} ms`);
});

/** Memories that WebAssembly has made, seen from outside. */
const watched = `
const memories = [];
WebAssembly.Memory = class extends WebAssembly.Memory { constructor(of) { super(of); memories.push(this); } };
const arena = () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
const collected = async () => { for (let i = 0; i < 3; i++) { gc(); await new Promise((done) => setTimeout(done)); } };
`;

test("a thousand steps later memory is what it was", async () => {
  const child = start(
    `${watched} ${begin}
    const model = (p, x) => ad.sum(ad.tanh(ad.add(ad.matmul(x, p.w), p.b)));
    const step = ad.jit((p, v, x) => {
      const g = ad.grad(model)(p, x);
      const next = ad.treeMap((a, b) => ad.add(ad.mul(a, 0.9), b), v, g);
      return [ad.treeMap((a, b) => ad.sub(a, ad.mul(b, 0.01)), p, next), next];
    }, { engine, donate: [0, 1] });
    const x = ad.random.normal(ad.random.key(0), [16, 32]);
    let p = { w: ad.random.normal(ad.random.key(1), [32, 64]), b: ad.zeros([64]) };
    let v = ad.treeMap((a) => ad.zerosLike(a), p);
    const steps = (n) => { for (let i = 0; i < n; i++) [p, v] = step(p, v, x); };
    steps(200);
    await collected();
    const before = { heap: process.memoryUsage().heapUsed, arena: arena() };
    steps(1000);
    await collected();
    console.log(JSON.stringify([process.memoryUsage().heapUsed - before.heap, arena() - before.arena, p.w.data.every(Number.isFinite)]));`,
    ["--expose-gc"],
  );
  const { out, errors } = await ended(child);
  assert.equal(errors, "");
  const [heap, arena, finite] = JSON.parse(out);
  assert.ok(heap < 300_000, `the heap grew by ${heap} bytes`);
  assert.deepEqual([arena, finite], [0, true]);
});

test("functions that are dropped give back their memory, results in it keep theirs", async () => {
  const child = start(
    `${watched} ${begin}
    const constant = (i) => ad.tensor(new Float32Array(250_000).fill(i));
    const step = (c) => ad.jit((x) => ad.mul(ad.add(x, c), 0.5), { engine, donate: [0] });
    const first = step(constant(0))(constant(1));
    let most = 0;
    for (let i = 0; i < 200; i++) {
      step(constant(i))(constant(0));
      if (i % 10 === 9) { await collected(); most = Math.max(most, arena()); }
    }
    const before = arena();
    const large = ad.tensor(new Float32Array(1_500_000).fill(2));
    ad.jit((x) => ad.add(x, large), { engine, donate: [0] })(large);
    const grown = arena() - before;
    const wanted = ad.mul(ad.add(constant(1), constant(0)), 0.5);
    console.log(JSON.stringify([most, grown, ad.allClose(first, wanted)]));`,
    ["--expose-gc"],
  );
  const { out, errors } = await ended(child);
  assert.equal(errors, "");
  const [most, grown, same] = JSON.parse(out);
  assert.ok(most < 100e6, `${most} bytes for functions of 2 MB each`);
  assert.equal(grown, 0, "what was given back in small pieces is one large piece");
  assert.equal(same, true);
});

test("a function that does not compile takes no memory, and engines that are dropped let their workers go", async () => {
  const child = start(
    `${watched} ${begin}
    const threads = process.getBuiltinModule("node:worker_threads");
    let working = 0;
    threads.Worker = class extends threads.Worker {
      constructor(...args) { super(...args); working++; this.on("exit", () => working--); }
    };
    const axes = [9, 7, 8, 6, 4, 5, 3, 1, 2, 0];
    const x = ad.ones(axes.map(() => 2));
    const refused = (c) => ad.jit((y) => [ad.mul(c, 2), ad.mul(ad.transpose(y, axes), ad.flip(ad.flip(y, { axis: 1 }), { axis: 4 }))], { engine })(x);
    let errors = 0;
    call(0);
    for (let i = 0; i < 50; i++) try { refused(ad.tensor(new Float32Array(250_000).fill(i))); } catch { errors++; }
    const most = arena();
    for (let i = 0; i < 5; i++) ad.jit((y) => ad.mul(y, i), { engine: wasm({ threads: 3 }) })(ad.ones([10]));
    const before = working;
    memories.length = 0;
    for (let i = 0; i < 20 && working > 2; i++) await collected();
    call(1);
    console.log(JSON.stringify([errors, most, before, working]));`,
    ["--expose-gc"],
  );
  const { out, errors } = await ended(child);
  assert.equal(errors, "");
  const [refused, most, before, working] = JSON.parse(out);
  assert.deepEqual([refused, before, working], [50, 12, 2], "those of the engine in use stay");
  assert.ok(most < 10e6, `${most} bytes`);
});
