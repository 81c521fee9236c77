import assert from "node:assert/strict";
import { after, test } from "node:test";
import { mul, ones, plain, random, type Tensor, tensor, vjp, zeros } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import { parseSafetensors, type Safetensors, SafetensorsError } from "@fmmformer/models";
import { checkFixture } from "./check-fixture.ts";
import { closeModes, openModes } from "./gpu/modes.ts";
import { fixtures, withoutFixtures } from "./official-fixtures.ts";
import { rebuild } from "./official-modules.ts";

const modes = await openModes();
after(() => closeModes(modes));

for (const engine of [plain, wasm(), ...modes.engines]) {
  const name = "mode" in engine ? `gpu engine in mode ${engine.mode}` : `${engine.name} engine`;
  test(`the official fixtures are matched by the ${name}`, { skip: withoutFixtures }, async (t) => {
    let largest = 0;
    for (const { name: file, bytes } of fixtures) {
      const { array, error } = await checkFixture(parseSafetensors(bytes), engine);
      assert.ok(error <= 1e-4, `${file}: ${array} is off by ${error}`);
      largest = Math.max(largest, error);
    }
    t.diagnostic(`the largest error of a fixture with the ${name} is ${largest}`);
  });
}

/** A fixture of our own, of the authors' first module. */
function fixture(change: (name: string, x: Tensor) => Tensor = (_, x) => x): Safetensors {
  const metadata = {
    code: "LRA SparseLowrankAttention",
    sparse_ratio: "13.5",
    kernels: "elu,elu_flip",
    diag_size: "3",
  };
  const shape = [2, 2, 7, 4];
  const inputs = {
    q: draw(1, shape),
    k: draw(2, shape),
    v: draw(3, shape),
    mask: ones([2, 7]),
    "param.sparse_ratio": draw(4, [1, 2, 1, 1]),
    "param.sparse_ratio2": draw(5, [1, 2, 1, 1]),
    "param.lowrank_ratio": draw(6, [1]),
    "param.lowrank_ratio2": draw(7, [1]),
  };
  const [outs, pullback] = vjp(rebuild({ metadata, tensors: inputs }), inputs as { [name: string]: Tensor });
  const cotangent = draw(8, shape);
  const [grads] = pullback({ out: cotangent });
  const arrays: [string, Tensor][] = [
    ["out", outs.out],
    ...Object.entries(grads).map(([name, g]): [string, Tensor] => [`grad_${name}`, g]),
  ];
  const changed = arrays.map(([name, x]) => [name, change(name, x)]);
  return { metadata, tensors: { ...inputs, cotangent, ...Object.fromEntries(changed) } };
}

test("a fixture of our own is matched, and one changed array is found", async () => {
  assert.ok((await checkFixture(fixture())).error < 1e-6);
  const { array, error } = await checkFixture(
    fixture((name, x) => (name === "grad_param.sparse_ratio2" ? mul(x, 1.001) : x)),
  );
  assert.equal(array, "grad_param.sparse_ratio2");
  assert.ok(error > 9e-4 && error < 1.1e-3, `${error}`);
});

test("a number that is none is as far off as can be", async () => {
  const spoilt = fixture();
  const weight = tensor([Number.NaN, 1], { shape: [1, 2, 1, 1] });
  const { error } = await checkFixture({ ...spoilt, tensors: { ...spoilt.tensors, "param.sparse_ratio": weight } });
  assert.equal(error, Number.POSITIVE_INFINITY);
});

const draw = (seed: number, shape: readonly number[]): Tensor => random.normal(random.key(seed), shape);

/** What a module gives for tensors in its form, whatever its metadata look like. */
function outputOf(metadata: Safetensors["metadata"], tensors: Safetensors["tensors"]): unknown {
  return rebuild({ metadata, tensors })(tensors).out.toArray();
}

test("metadata are read however they are written, and what a module does without may be missing", () => {
  const [q, k, v] = [1, 2, 3].map((seed) => draw(seed, [1, 2, 7, 4]));
  const lra = { code: "LRA SparseLowrankAttention", sparse_ratio: "4.5", diag_size: "3" };
  const weight = { "param.sparse_ratio": draw(4, [1, 2, 1, 4]) };
  const listed = ["elu,elu_flip", "elu elu_flip", "elu, elu_flip", "['elu', 'elu_flip']"].map((kernels) =>
    outputOf({ ...lra, kernels }, { q, k, v, mask: ones([1, 7]), ...weight }),
  );
  for (const out of listed) assert.deepEqual(out, listed[0]);
  assert.deepEqual(outputOf({ ...lra, kernels: "elu,elu_flip" }, { q, k, v, ...weight }), listed[0]);
  const farOnly = { code: lra.code, sparse_ratio: "7.5", kernels: "elu" };
  assert.deepEqual(outputOf(farOnly, { q, k, v }), outputOf({ ...farOnly, diag_size: "None" }, { q, k, v }));
  const bandOnly = { ...lra, sparse_ratio: "6.5" };
  assert.deepEqual(outputOf(bandOnly, { q, k, v }), outputOf({ ...bandOnly, kernels: "elu" }, { q, k, v }));

  const copy = { code: "CausalFMMAttention", kernels: "1" };
  const rows = { q: draw(1, [1, 7, 8, 4]), k: draw(2, [1, 7, 8, 4]), v: draw(3, [1, 7, 8, 4]) };
  const learned = { "param.W2": draw(5, [1, 1, 8, 4]) };
  const without = outputOf({ ...copy, sparse: "False" }, { ...rows, ...learned });
  for (const more of [{}, { sparse: "false", bandwidth: "None" }, { sparse: "0", bandwidth: "0" }]) {
    assert.deepEqual(outputOf({ ...copy, ...more }, { ...rows, ...learned }), without);
  }
  const near = { ...rows, ...learned, "param.W1": draw(6, [1, 1, 8, 4]) };
  const banded = outputOf({ ...copy, sparse: "True", bandwidth: "3" }, near);
  assert.deepEqual(outputOf({ ...copy, bandwidth: "3" }, near), banded);
  assert.notDeepEqual(banded, without);
});

test("a sub-layer of a language model normalises its sum, or what it reads where pre_lnorm says so", () => {
  const input = draw(1, [5, 2, 6]);
  const tensors = {
    input,
    "param.qkv_net.weight": draw(2, [18, 6]),
    "param.o_net.weight": zeros([6, 6]),
    "param.layer_norm.weight": ones([6]),
    "param.layer_norm.bias": zeros([6]),
  };
  const metadata = {
    code: "MultiHeadAttnSparseLowrank",
    sparse_ratio: "4.5",
    diag_size: "2",
    d_model: "6",
    heads: "2",
  };
  const of = (more: object): unknown => outputOf({ ...metadata, head_dim: "3", ...more }, tensors);
  const rows = of({ pre_lnorm: "False" }) as number[][][];
  for (const row of rows.flat()) assert.ok(Math.abs(row.reduce((total, x) => total + x, 0)) < 1e-5);
  assert.deepEqual(of({}), rows);
  assert.deepEqual(of({ pre_lnorm: "True" }), input.toArray());
});

test("a fixture that cannot be interpreted says why", async () => {
  const { metadata, tensors } = fixture();
  await assert.rejects(
    checkFixture({ metadata: { ...metadata, code: "Other" }, tensors }),
    /released module as code, got "Other"/,
  );
  await assert.rejects(checkFixture({ metadata, tensors: { ...tensors, grad_other: tensors.out } }), /got grad_other/);
});

function encode(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  return Uint8Array.from([...length, ...text, ...data]);
}

test("a safetensors file gives its tensors and what it says of them", () => {
  const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const { tensors, metadata } = parseSafetensors(
    encode({ __metadata__: { code: "x" }, a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] } }, data),
  );
  assert.deepEqual(tensors.a.toArray(), [
    [1, 2],
    [3, 4],
  ]);
  assert.deepEqual(metadata, { code: "x" });
});

test("64-bit integers of a safetensors file are read as int32", () => {
  const data = new Uint8Array(BigInt64Array.of(-1n, 7n, 2n ** 31n - 1n).buffer);
  const { a } = parseSafetensors(encode({ a: { dtype: "I64", shape: [3], data_offsets: [0, 24] } }, data)).tensors;
  assert.equal(a.dtype, "int32");
  assert.deepEqual(a.toArray(), [-1, 7, 2 ** 31 - 1]);
});

test("a safetensors file that is not one is refused", () => {
  const entry = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(3), /expected at least 8 bytes, got 3/],
    [encode({}).subarray(0, 9), /the file is cut short/],
    [encode("{"), /expected a header in JSON/],
    [encode("[]"), /a JSON object/],
    [encode({ a: entry }), /expected 8 bytes of a in 0, got offsets 0 to 8/],
    [encode({ a: { ...entry, shape: [3] } }, new Uint8Array(8)), /expected 12 bytes of a/],
    [encode({ a: { ...entry, shape: [-2] } }, new Uint8Array(8)), /expected shape and two data_offsets of a/],
    [
      encode({ a: { ...entry, dtype: "toString" } }, new Uint8Array(8)),
      /expected dtype F32, F64, I32, I64, BOOL of a, got toString/,
    ],
    [
      encode(
        { a: { dtype: "I64", shape: [1], data_offsets: [0, 8] } },
        new Uint8Array(BigInt64Array.of(2n ** 31n).buffer),
      ),
      /expected integers of a that fit 32 bits, got 2147483648/,
    ],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(
      () => parseSafetensors(bytes),
      (error: Error) => error instanceof SafetensorsError && message.test(error.message),
      `${message}`,
    );
  }
});
