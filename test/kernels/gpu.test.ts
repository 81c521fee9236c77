import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, mock, test } from "node:test";
import {
  applyState,
  type BandShape,
  bandDot,
  bandDotPullback,
  bandMatmul,
  bandMatmulPullback,
  bandTranspose,
  bandTransposePullback,
  farFieldRead,
  farFieldReadPullback,
  farFieldState,
  farFieldStatePullback,
  type Gpu,
  GpuKernelError,
  type GpuMode,
  GpuUnavailableError,
  openGpu,
} from "@fmmformer/kernels/gpu";
import fc from "fast-check";
import { GPU } from "gpu.js";

const gpus: Gpu[] = [];
before(async () => {
  for (const mode of ["cpu", "webasm"] as const) gpus.push(await openGpu({ mode }));
});
after(async () => {
  for (const gpu of gpus) await gpu.destroy();
});

/** Every shape builds its kernels anew in both modes, hence few runs, with no two dimensions alike. */
const runs = { numRuns: 20 };

function distinct<Name extends string>(...names: Name[]): fc.Arbitrary<Record<Name, number>> {
  return fc
    .uniqueArray(fc.integer({ min: 1, max: names.length + 1 }), { minLength: names.length, maxLength: names.length })
    .map((lengths) => Object.fromEntries(names.map((name, index) => [name, lengths[index]])) as Record<Name, number>);
}

function numbers(size: number, { min = -2000, max = 2000 } = {}): fc.Arbitrary<Float32Array> {
  return fc
    .array(fc.integer({ min, max }), { minLength: size, maxLength: size })
    .map((values) => Float32Array.from(values, (k) => k / 1000));
}

const positive = { min: 100, max: 2000 };

type Vector = Float32Array | Float64Array;

/** The oracle's arrays: dense, row-major, float64. */
function dense(lengths: number[], entry: (...place: number[]) => number): Float64Array {
  const size = lengths.reduce((product, length) => product * length, 1);
  return Float64Array.from({ length: size }, (_, flat) => {
    const place = lengths.map(() => 0);
    for (let axis = lengths.length - 1, rest = flat; axis >= 0; axis--) {
      place[axis] = rest % lengths[axis]!;
      rest = Math.floor(rest / lengths[axis]!);
    }
    return entry(...place);
  });
}

function sum(length: number, term: (index: number) => number): number {
  let total = 0;
  for (let index = 0; index < length; index++) total += term(index);
  return total;
}

const read = (array: Vector, rows: number, columns: number) => (z: number, row: number, column: number) =>
  array[(z * rows + row) * columns + column]!;

const dot = (x: Vector, y: Vector) => sum(x.length, (index) => x[index]! * y[index]!);
const largest = (array: Vector) => Math.max(...array.map(Math.abs));

/** Law 8: |difference| ≤ 2 ε₃₂ · terms · largest term. */
function assertClose(actual: Float32Array, expected: Float64Array, [terms, term]: [number, number], what: string) {
  const bound = 2 * 2 ** -23 * terms * term;
  assert.equal(actual.length, expected.length, what);
  expected.forEach((value, index) => {
    const error = Math.abs(actual[index]! - value);
    assert.ok(error <= bound, `${what}[${index}]: expected ${value} ± ${bound}, got ${actual[index]}`);
  });
}

/** The n × n matrices that a band stands for. */
function bandToMatrix(band: Vector, { b, h, n, left, right }: BandShape): Float64Array {
  const slots = left + right + 1;
  return dense([b * h, n, n], (z, i, j) => {
    const t = j - i + left;
    return t >= 0 && t < slots ? read(band, n, slots)(z, i, t) : 0;
  });
}

function matrixToBand(matrix: Vector, { b, h, n, left, right }: BandShape): Float64Array {
  return dense([b * h, n, left + right + 1], (z, i, t) => {
    const j = i - left + t;
    return j >= 0 && j < n ? read(matrix, n, n)(z, i, j) : 0;
  });
}

/** Σ_j a_zij v_zjc, or with the matrix transposed Σ_i a_zij v_zic. */
function times(a: Vector, v: Vector, z: number, n: number, m: number, transposed = false): Float64Array {
  const entry = read(a, n, n);
  return dense([z, n, m], (z, i, c) =>
    sum(n, (j) => (transposed ? entry(z, j, i) : entry(z, i, j)) * read(v, n, m)(z, j, c)),
  );
}

const outer = (x: Vector, y: Vector, z: number, n: number, d: number) =>
  dense([z, n, n], (z, i, j) => sum(d, (c) => read(x, n, d)(z, i, c) * read(y, n, d)(z, j, c)));

const bandShapes = distinct("b", "h", "n", "width", "left", "right");

test("bandDot and its pullback equal the diagonals of the dense product and of its gradient", () =>
  fc.assert(
    fc.asyncProperty(
      bandShapes.chain(({ width: d, ...band }) => {
        const { b, h, n, left, right } = band;
        const rows = numbers(b * h * n * d);
        const slots = numbers(b * h * n * (left + right + 1));
        return fc.record({ band: fc.constant(band), d: fc.constant(d), q: rows, k: rows, g: slots });
      }),
      async ({ band, d, q, k, g }) => {
        const z = band.b * band.h;
        const matrix = bandToMatrix(g, band);
        const bound = largest(g) * Math.max(largest(q), largest(k));
        const slots = band.left + band.right + 1;
        for (const gpu of gpus) {
          const scores = await bandDot(gpu, { q, k }, { ...band, d });
          assertClose(scores, matrixToBand(outer(q, k, z, band.n, d), band), [d, largest(q) * largest(k)], gpu.mode);
          const cotangents = await bandDotPullback(gpu, { g, q, k }, { ...band, d });
          assertClose(cotangents.q, times(matrix, k, z, band.n, d), [slots, bound], `${gpu.mode} dq`);
          assertClose(cotangents.k, times(matrix, q, z, band.n, d, true), [slots, bound], `${gpu.mode} dk`);
          assertAdjoint(dot(scores, g), [dot(q, cotangents.q), dot(k, cotangents.k)], scores, g, d);
        }
      },
    ),
    runs,
  ));

test("bandMatmul and its pullback equal the dense product and its gradient", () =>
  fc.assert(
    fc.asyncProperty(
      bandShapes.chain(({ width: m, ...band }) => {
        const { b, h, n, left, right } = band;
        const rows = numbers(b * h * n * m);
        const slots = numbers(b * h * n * (left + right + 1));
        return fc.record({ shape: fc.constant(band), m: fc.constant(m), band: slots, v: rows, g: rows });
      }),
      async ({ shape, m, band, v, g }) => {
        const z = shape.b * shape.h;
        const matrix = bandToMatrix(band, shape);
        const slots = shape.left + shape.right + 1;
        for (const gpu of gpus) {
          const o = await bandMatmul(gpu, { band, v }, { ...shape, m });
          assertClose(o, times(matrix, v, z, shape.n, m), [slots, largest(band) * largest(v)], gpu.mode);
          const cotangents = await bandMatmulPullback(gpu, { g, band, v }, { ...shape, m });
          const dband = matrixToBand(outer(g, v, z, shape.n, m), shape);
          assertClose(cotangents.band, dband, [m, largest(g) * largest(v)], `${gpu.mode} dband`);
          const dv = times(matrix, g, z, shape.n, m, true);
          assertClose(cotangents.v, dv, [slots, largest(band) * largest(g)], `${gpu.mode} dv`);
          assertAdjoint(dot(o, g), [dot(band, cotangents.band), dot(v, cotangents.v)], o, g, slots);
        }
      },
    ),
    runs,
  ));

test("bandTranspose and its pullback move entries without changing them", () =>
  fc.assert(
    fc.asyncProperty(
      distinct("b", "h", "n", "left", "right").chain((shape) => {
        const { b, h, n, left, right } = shape;
        return fc.record({ shape: fc.constant(shape), band: numbers(b * h * n * (left + right + 1)) });
      }),
      async ({ shape, band }) => {
        const { b, h, n, left, right } = shape;
        const matrix = bandToMatrix(band, shape);
        const transpose = dense([b * h, n, n], (z, i, j) => read(matrix, n, n)(z, j, i));
        const expected = matrixToBand(transpose, { ...shape, left: right, right: left });
        for (const gpu of gpus) {
          const transposed = await bandTranspose(gpu, { band }, shape);
          assert.deepEqual(transposed, Float32Array.from(expected), gpu.mode);
          const back = await bandTransposePullback(gpu, { g: transposed }, shape);
          assert.deepEqual(back.band, Float32Array.from(matrixToBand(matrix, shape)), gpu.mode);
        }
      },
    ),
    runs,
  ));

/** Law 6: ⟨A·x, g⟩ = ⟨x, Aᵀ·g⟩ for each argument that the op is linear in. */
function assertAdjoint(value: number, pulled: number[], output: Vector, g: Vector, terms: number) {
  const bound = 2 * 2 ** -23 * (terms + 1) * output.length * Math.max(1, largest(output)) * largest(g);
  for (const product of pulled) {
    assert.ok(Math.abs(value - product) <= bound, `expected ⟨A·x, g⟩ = ${value}, got ⟨x, Aᵀ·g⟩ = ${product}`);
  }
}

const farShapes = distinct("b", "h", "n", "f", "m");
const masks = (size: number) => fc.array(fc.boolean(), { minLength: size, maxLength: size });

test("farFieldState and its pullback equal dense sums that leave masked tokens out", () =>
  fc.assert(
    fc.asyncProperty(
      // up to four blocks of tokens
      farShapes
        .map((shape) => ({ ...shape, n: 40 * shape.n }))
        .chain((shape) => {
          const { b, h, n, f, m } = shape;
          return fc.record({
            shape: fc.constant(shape),
            k: numbers(b * h * n * f),
            v: numbers(b * h * n * m),
            g: numbers(b * h * f * (m + 1)),
            kept: fc.option(masks(b * n), { nil: undefined }),
          });
        }),
      async ({ shape, k, v, g, kept }) => {
        const { b, h, n, f, m } = shape;
        const mask = kept && Float32Array.from(kept, Number);
        const weight = (z: number, j: number) => (kept ? Number(kept[Math.floor(z / h) * n + j]) : 1);
        const value = (z: number, j: number, c: number) => (c < m ? read(v, n, m)(z, j, c) : 1);
        const state = dense([b * h, f, m + 1], (z, a, c) =>
          sum(n, (j) => weight(z, j) * read(k, n, f)(z, j, a) * value(z, j, c)),
        );
        const dk = dense([b * h, n, f], (z, j, a) =>
          sum(m + 1, (c) => weight(z, j) * read(g, f, m + 1)(z, a, c) * value(z, j, c)),
        );
        const dv = dense([b * h, n, m], (z, j, c) =>
          sum(f, (a) => weight(z, j) * read(g, f, m + 1)(z, a, c) * read(k, n, f)(z, j, a)),
        );
        const values = Math.max(1, largest(v));
        for (const gpu of gpus) {
          const actual = await farFieldState(gpu, { k, v, mask }, shape);
          assertClose(actual, state, [n, largest(k) * values], gpu.mode);
          const cotangents = await farFieldStatePullback(gpu, { g, k, v, mask }, shape);
          assertClose(cotangents.k, dk, [m + 1, largest(g) * values], `${gpu.mode} dk`);
          assertClose(cotangents.v, dv, [f, largest(g) * largest(k)], `${gpu.mode} dv`);
        }
      },
    ),
    runs,
  ));

test("farFieldRead and its pullback equal the dense quotient and its gradient", () =>
  fc.assert(
    fc.asyncProperty(
      farShapes.chain((shape) => {
        const { b, h, n, f, m } = shape;
        return fc.record({
          shape: fc.constant(shape),
          q: numbers(b * h * n * f, positive),
          // the last column sums positive features
          state: fc
            .tuple(numbers(b * h * f * m), numbers(b * h * f, positive))
            .map(([values, sums]) =>
              Float32Array.from(dense([b * h * f, m + 1], (row, c) => (c < m ? values[row * m + c]! : sums[row]!))),
            ),
          g: numbers(b * h * n * m),
          normalizer: fc.constantFrom("none" as const, "sum" as const),
          eps: fc.constantFrom(0, 1e-7, 0.5, 1),
        });
      }),
      async ({ shape, q, state, g, normalizer, eps }) => {
        const { b, h, n, f, m } = shape;
        const x = dense([b * h, n, m + 1], (z, i, c) =>
          sum(f, (a) => read(q, n, f)(z, i, a) * read(state, f, m + 1)(z, a, c)),
        );
        const divisor = (z: number, i: number) => (normalizer === "sum" ? read(x, n, m + 1)(z, i, m) + eps : 1);
        const o = dense([b * h, n, m], (z, i, c) => read(x, n, m + 1)(z, i, c) / divisor(z, i));
        const dx = dense([b * h, n, m + 1], (z, i, c) => {
          if (c < m) return read(g, n, m)(z, i, c) / divisor(z, i);
          if (normalizer === "none") return 0;
          return -sum(m, (c) => read(g, n, m)(z, i, c) * read(o, n, m)(z, i, c)) / divisor(z, i);
        });
        const dq = dense([b * h, n, f], (z, i, a) =>
          sum(m + 1, (c) => read(state, f, m + 1)(z, a, c) * read(dx, n, m + 1)(z, i, c)),
        );
        const dstate = dense([b * h, f, m + 1], (z, a, c) =>
          sum(n, (i) => read(q, n, f)(z, i, a) * read(dx, n, m + 1)(z, i, c)),
        );
        const smallest = dense([b * h, n], divisor).reduce((least, value) => Math.min(least, value));
        const rows = (largest(q) * largest(state)) / smallest;
        const quotients = Math.max(1, rows) * largest(dx) * m;
        for (const gpu of gpus) {
          const options = { ...shape, normalizer, eps };
          const actual = await farFieldRead(gpu, { q, state }, options);
          assertClose(actual, o, [2 * f, rows * Math.max(1, largest(o))], gpu.mode);
          const cotangents = await farFieldReadPullback(gpu, { g, q, state }, options);
          assertClose(cotangents.q, dq, [2 * f + m, largest(state) * quotients], `${gpu.mode} dq`);
          assertClose(cotangents.state, dstate, [2 * f + n, largest(q) * quotients], `${gpu.mode} dstate`);
        }
      },
    ),
    runs,
  ));

test("a state that is read is linear attention, and so are its gradients", () =>
  fc.assert(
    fc.asyncProperty(
      farShapes.chain((shape) => {
        const { b, h, n, f, m } = shape;
        return fc.record({
          shape: fc.constant(shape),
          q: numbers(b * h * n * f, positive),
          k: numbers(b * h * n * f, positive),
          v: numbers(b * h * n * m),
          g: numbers(b * h * n * m),
          kept: masks(b * n),
        });
      }),
      async ({ shape, q, k, v, g, kept }) => {
        const { b, h, n, f, m } = shape;
        const z = b * h;
        const eps = 0.01;
        const mask = Float32Array.from(kept, Number);
        const products = outer(q, k, z, n, f);
        const scores = dense([z, n, n], (z, i, j) => mask[Math.floor(z / h) * n + j]! * read(products, n, n)(z, i, j));
        const divisors = dense([z, n, 1], (z, i) => sum(n, (j) => read(scores, n, n)(z, i, j)) + eps);
        const p = dense([z, n, n], (z, i, j) => read(scores, n, n)(z, i, j) / read(divisors, n, 1)(z, i, 0));
        const o = times(p, v, z, n, m);
        const dscores = dense([z, n, n], (z, i, j) => {
          const through = sum(m, (c) => read(g, n, m)(z, i, c) * (read(v, n, m)(z, j, c) - read(o, n, m)(z, i, c)));
          return (mask[Math.floor(z / h) * n + j]! * through) / read(divisors, n, 1)(z, i, 0);
        });
        const smallest = divisors.reduce((least, value) => (value > eps ? Math.min(least, value) : least), Infinity);
        const bounds = { terms: n + 3 * f + m, score: (2 * m * largest(g) * largest(v)) / smallest };
        for (const gpu of gpus) {
          const state = await farFieldState(gpu, { k, v, mask }, shape);
          const options = { ...shape, normalizer: "sum", eps } as const;
          assertClose(await farFieldRead(gpu, { q, state }, options), o, [bounds.terms, largest(v)], gpu.mode);
          const reading = await farFieldReadPullback(gpu, { g, q, state }, options);
          const summing = await farFieldStatePullback(gpu, { g: reading.state, k, v, mask }, shape);
          const dq = times(dscores, k, z, n, f);
          const dk = times(dscores, q, z, n, f, true);
          const dv = times(p, g, z, n, m, true);
          assertClose(reading.q, dq, [bounds.terms, bounds.score * largest(k)], `${gpu.mode} dq`);
          assertClose(summing.k, dk, [bounds.terms, bounds.score * largest(q)], `${gpu.mode} dk`);
          assertClose(summing.v, dv, [bounds.terms, n * largest(g)], `${gpu.mode} dv`);
        }
      },
    ),
    runs,
  ));

test("masked tokens may hold anything, and when all are masked the far field and its gradients are 0", async () => {
  const shape = { b: 2, h: 1, n: 2, f: 1, m: 1 };
  const mask = Float32Array.of(1, 0, 0, 0);
  const k = Float32Array.of(3, Number.NaN, Number.POSITIVE_INFINITY, Number.NaN);
  const v = Float32Array.of(5, Number.NaN, Number.NaN, Number.POSITIVE_INFINITY);
  const [q, g] = [new Float32Array(4).fill(2), new Float32Array(4).fill(7)];
  const options = { ...shape, normalizer: "sum", eps: 0 } as const;
  for (const gpu of gpus) {
    const state = await farFieldState(gpu, { k, v, mask }, shape);
    assert.deepEqual([...state], [15, 3, 0, 0]);
    assert.deepEqual([...(await farFieldRead(gpu, { q, state }, options))], [5, 5, 0, 0]);
    const reading = await farFieldReadPullback(gpu, { g, q, state }, options);
    assert.deepEqual([...reading.q].slice(2), [0, 0]);
    assert.deepEqual([...reading.state].slice(2), [0, 0]);
    const summing = await farFieldStatePullback(gpu, { g: state, k, v, mask }, shape);
    assert.deepEqual([...summing.k], [15 * 5 + 3, 0, 0, 0]);
    assert.deepEqual([...summing.v], [15 * 3, 0, 0, 0]);
  }
});

test("the state of a long sequence keeps its digits, since it is summed in blocks", async () => {
  const shape = { b: 1, h: 1, n: 300_001, f: 1, m: 1 };
  const k = Float32Array.from({ length: shape.n }, (_, j) => (j * 0.618) % 1);
  const v = k.map((value) => 1 - value);
  const expected = [dot(k, v), sum(shape.n, (j) => k[j]!)];
  for (const gpu of gpus) {
    const state = await farFieldState(gpu, { k, v }, shape);
    expected.forEach((value, c) => {
      // one float32 accumulator over all tokens is off by 1e-4 here
      assert.ok(Math.abs(state[c]! / value - 1) <= 1e-6, `${gpu.mode}: expected ${value}, got ${state[c]}`);
    });
  }
});

test("a kernel is built once for each shape", async () => {
  const gpu = await openGpu({ mode: "cpu" });
  const createKernel = mock.method(GPU.prototype, "createKernel");
  const row = Float32Array.of(1, 2, 3);
  const shape = { b: 1, h: 1, n: 3, left: 1, right: 0 };
  const first = await bandDot(gpu, { q: row, k: row }, { ...shape, d: 1 });
  const second = await bandDot(gpu, { q: row, k: row.map((x) => 2 * x) }, { ...shape, d: 1 });
  assert.equal(createKernel.mock.callCount(), 1);
  assert.deepEqual(
    [[...first], [...second]],
    [
      [0, 1, 2, 4, 6, 9],
      [0, 2, 4, 8, 12, 18],
    ],
  );
  await bandDot(gpu, { q: row, k: row }, { ...shape, left: 0, d: 1 });
  assert.equal(createKernel.mock.callCount(), 2);
  createKernel.mock.restore();
  await gpu.destroy();
});

test("kernels of one text but other sizes of input are two", async () => {
  const x = Float32Array.of(1, 1);
  const shape = { b: 1, h: 1, n: 1, f: 2 };
  for (const gpu of gpus) {
    const two = await applyState(gpu, { x, state: Float32Array.of(1, 2, 3, 4) }, { ...shape, m: 1, last: "stored" });
    const three = await applyState(gpu, { x, state: Float32Array.of(1, 2, 9, 3, 4, 9) }, { ...shape, m: 2, last: 0 });
    assert.deepEqual(
      [[...two], [...three]],
      [
        [4, 6],
        [4, 6],
      ],
      gpu.mode,
    );
  }
});

test("destroying a gpu twice is destroying it once, and then it runs nothing", async () => {
  for (const mode of ["cpu", "webasm"] as const) {
    const gpu = await openGpu({ mode });
    const one = Float32Array.of(1);
    const shape = { b: 1, h: 1, n: 1, d: 1, left: 0, right: 0 };
    await bandDot(gpu, { q: one, k: one }, shape);
    await Promise.all([gpu.destroy(), gpu.destroy()]);
    await gpu.destroy();
    await assert.rejects(bandDot(gpu, { q: one, k: one }, shape), {
      name: "GpuUnavailableError",
      message: "bandDot: expected an open gpu, got a destroyed one; open another",
    });
  }
});

test("a wrong argument says what was expected", async () => {
  const gpu = gpus[0]!;
  const shape = { b: 2, h: 1, n: 3, d: 4, left: 1, right: 1 };
  const [q, k] = [new Float32Array(24), new Float32Array(23)];
  await assert.rejects(async () => bandDot(gpu, { q, k }, shape), {
    name: "ShapeError",
    message: "bandDot: expected k (b·h=2, n=3, d=4) of 24 numbers, got 23",
  });
  await assert.rejects(async () => bandDot(gpu, { q, k: q }, { ...shape, left: -1 }), {
    name: "RangeError",
    message: "bandDot: expected an integer left ≥ 0, got -1",
  });
  await assert.rejects(async () => bandDot(gpu, { q, k: q }, { ...shape, n: 0 }), {
    name: "RangeError",
    message: "bandDot: expected an integer in [1, 2^24) for axis n, got 0",
  });
  const options = { b: 1, h: 1, n: 1, f: 1, m: 1, normalizer: "sum", eps: Number.NaN } as const;
  const rows = { q: new Float32Array(1), state: new Float32Array(2) };
  await assert.rejects(farFieldRead(gpu, rows, options), {
    name: "RangeError",
    message: "farFieldRead: expected a finite eps ≥ 0, got NaN",
  });
});

test("a kernel that gpu.js cannot compile is named, with gpu.js's error as the cause", async () => {
  const kernel = { name: "broken", inputs: { x: { n: 2 } }, output: { i: 2 }, body: "return undefinedName;" };
  for (const gpu of gpus) {
    await assert.rejects(gpu.run(kernel, { x: new Float32Array(2) }), (error: Error) => {
      assert.ok(error instanceof GpuKernelError);
      assert.match(error.message, new RegExp(`^broken: expected a kernel that runs in mode ${gpu.mode}, got "`));
      return error.cause instanceof Error;
    });
  }
});

test("a mode that cannot run here says why", async () => {
  await assert.rejects(openGpu({ mode: "metal" as GpuMode }), {
    name: "RangeError",
    message: "openGpu: expected mode webgpu, webgl2, headlessgl, webasm, cpu, got metal",
  });
  await assert.rejects(openGpu({ mode: "webgpu" }), {
    name: "GpuUnavailableError",
    message:
      'openGpu: expected a device for mode webgpu, got "no adapter"; ' +
      'in Node set navigator.gpu from the package "webgpu", in a browser enable WebGPU',
  });
  await assert.rejects(openGpu({ mode: "webgl2" }), (error: Error) => {
    assert.ok(error instanceof GpuUnavailableError);
    assert.match(error.message, /^openGpu: expected a device for mode webgl2, got ".+"; run in a browser$/);
    return error.cause instanceof Error;
  });
});

test("without gpu.js, opening a gpu says what to install", () => {
  const noGpuJs = `export async function resolve(specifier, context, next) {
    if (specifier === "gpu.js") throw new Error("Cannot find package 'gpu.js'");
    return next(specifier, context);
  }`;
  const program = `
    import { register } from "node:module";
    import { openGpu } from "@fmmformer/kernels/gpu";
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(noGpuJs)}`)});
    openGpu({ mode: "cpu" }).catch((error) => console.log(error.name + ": " + error.message));`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--conditions=@fmmformer/source", "--import=tsx", "--input-type=module", "--eval", program],
    { encoding: "utf8" },
  );
  assert.equal(
    stdout.trim(),
    "GpuUnavailableError: openGpu: expected the optional package gpu.js, " +
      "got \"Cannot find package 'gpu.js'\"; run npm install gpu.js@2.24.1",
    stderr,
  );
});
