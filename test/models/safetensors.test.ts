import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type DType, flatten, random, type Tensor, tensor } from "@fmmformer/autodiff";
import {
  fillNamedTensors,
  fmmformer,
  formatSafetensors,
  fromNamedTensors,
  namedTensors,
  parseSafetensors,
  type Safetensors,
  writeWhole,
} from "@fmmformer/models";
import * as fc from "fast-check";

const dtypes: readonly DType[] = ["float32", "float64", "int32", "bool"];
const words = (values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** Any bits: NaNs with payloads and −0 must come back as they were. */
const tensors: fc.Arbitrary<Tensor> = fc
  .record({
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  })
  .chain(({ dtype, shape }) => {
    const size = shape.reduce((n, m) => n * m, 1);
    return fc.array(fc.nat({ max: 2 ** 32 - 1 }), { minLength: 2 * size, maxLength: 2 * size }).map((bits) => {
      if (dtype === "bool")
        return tensor(
          Uint8Array.from(bits.slice(size), (x) => x & 1),
          { shape, dtype },
        );
      const Kind = { float32: Float32Array, float64: Float64Array, int32: Int32Array }[dtype];
      return tensor(new Kind(words(bits).buffer as ArrayBuffer, 0, size), { shape });
    });
  });
const named = fc.dictionary(
  fc.string({ maxLength: 6 }).filter((name) => name !== "__metadata__" && name !== "__proto__"),
  tensors,
  { maxKeys: 5 },
);
const bits = ({ data }: Tensor): string => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
const shown = ({ tensors, metadata }: Safetensors) => ({
  metadata: { ...metadata },
  tensors: Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, [x.dtype, x.shape, bits(x)]])),
});

test("what is written is read back, bit for bit", () => {
  fc.assert(
    fc.property(named, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
      const file = { tensors, metadata: { ...metadata } };
      const parts = formatSafetensors(file);
      assert.deepEqual(shown(parseSafetensors(Buffer.concat(parts))), shown(file));
    }),
    { numRuns: 300 },
  );
});

test("the header fills eights, and every tensor lies at a multiple of its number's size", () => {
  for (let extra = 0; extra < 8; extra++) {
    const tensors = {
      a: tensor([true, false, true]),
      b: tensor([1, 2, 3]),
      c: tensor(Float64Array.of(1, 2)),
      d: tensor(Int32Array.of(7)),
    };
    const bytes = Buffer.concat(formatSafetensors({ tensors, metadata: { odd: "x".repeat(extra) } }));
    const length = Number(bytes.readBigUInt64LE(0));
    assert.equal(length % 8, 0);
    const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
    assert.deepEqual(header.__metadata__, { odd: "x".repeat(extra) });
    assert.deepEqual(header.c, { dtype: "F64", shape: [2], data_offsets: [0, 16] });
    assert.deepEqual(header.a, { dtype: "BOOL", shape: [3], data_offsets: [32, 35] });
    assert.equal(bytes.length, 8 + length + 35);
  }
});

test("the name of the metadata is no tensor's", () => {
  assert.throws(
    () => formatSafetensors({ tensors: { __metadata__: tensor([1]) }, metadata: {} }),
    /safetensors: expected tensors with names of their own, got one named __metadata__/,
  );
});

const model = fmmformer({ vocabulary: 5, length: 6, classes: 3, width: 8, layers: 2 });

test("parameters have names, and come back by them", () => {
  const params = model.init(random.key(1));
  const names = namedTensors(params);
  assert.deepEqual(names["encoder.blocks.0.attention.query.weight"].shape, [8, 8]);
  assert.deepEqual(names["head.output.bias"].shape, [3]);
  const back = fromNamedTensors(model.init(random.key(2)), names);
  const all = (tree: unknown): string[] => flatten(tree).leaves.map((x) => bits(x as Tensor));
  assert.deepEqual(all(back), all(params));
  assert.deepEqual(Object.keys(namedTensors([params], "params")).slice(0, 1), [`params.0.${Object.keys(names)[0]}`]);
});

test("numbers among the leaves stay numbers", () => {
  const tree = { list: [1.5, null, tensor([2])], name: "text" };
  const named = namedTensors(tree);
  assert.deepEqual(Object.keys(named), ["list.0", "list.2"]);
  const back = fromNamedTensors({ ...tree, list: [0, null, tensor([0])] }, named);
  assert.equal(back.list[0], 1.5);
  assert.equal((back.list[2] as Tensor).item(), 2);
});

test("what does not fit is refused, or told where only a part is wanted", () => {
  const like = { a: tensor([0, 0]), b: tensor([0]) };
  assert.throws(() => fromNamedTensors(like, { a: tensor([1, 2]) }), {
    name: "SafetensorsError",
    message: "fromNamedTensors: expected a tensor b, got none",
  });
  assert.throws(() => fromNamedTensors(like, { a: tensor([1, 2]), b: tensor([1]), c: tensor([1]) }), {
    name: "SafetensorsError",
    message: "fromNamedTensors: expected no tensor c, got one",
  });
  assert.throws(() => fromNamedTensors(like, { a: tensor(Int32Array.of(1, 2)), b: tensor([1]) }), {
    name: "ShapeError",
    message: "fromNamedTensors: expected a to be float32 (2,), got int32 (2,)",
  });
  const { tree, missing, unused } = fillNamedTensors(like, { a: tensor([1, 2, 3]), b: tensor([4]), c: tensor([5]) });
  assert.deepEqual([tree.a, tree.b.item(), missing, unused], [like.a, 4, ["a"], ["c"]]);
  assert.throws(() => namedTensors({ "a.b": 1, a: { b: 2 } }), /expected one leaf of each name, got two of a\.b/);
});

test("a file is the old one or the new one, and nothing is left beside it", () => {
  const folder = mkdtempSync(join(tmpdir(), "fmmformer-"));
  try {
    const path = join(folder, "deep", "file");
    writeWhole(path, [Uint8Array.of(1, 2), Uint8Array.of(3)]);
    assert.deepEqual([...readFileSync(path)], [1, 2, 3]);
    writeWhole(path, "text");
    assert.equal(readFileSync(path, "utf8"), "text");
    assert.throws(() => writeWhole(path, [Uint8Array.of(9), null as never]));
    assert.equal(readFileSync(path, "utf8"), "text");
    assert.deepEqual(readdirSync(join(folder, "deep")), ["file"]);
    assert.throws(() => writeWhole(join(path, "below"), "x"), /ENOTDIR|EEXIST/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
