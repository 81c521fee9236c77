import assert from "node:assert/strict";
import { test } from "node:test";
import { type DType, tensor } from "@fmmformer/autodiff";
import { agree, LawError } from "@fmmformer/kernels/laws";

const of = (values: readonly number[], dtype: DType = "float64") => tensor(values, { dtype });

test("a small tensor beside a large one is measured by its own numbers", () => {
  const large = of([1]);
  agree("law", [large, of([1e-3])], [large, of([1e-3 * (1 + 1e-10)])], { tolerance: 1e-9 });
  assert.throws(
    () => agree("law", [large, of([1e-3])], [large, of([1e-3 * (1 + 1e-8)])], { tolerance: 1e-9 }),
    (error: Error) => {
      assert.ok(error instanceof LawError);
      assert.match(error.message, /^law: expected 0\.00100000001, got 0\.001 \(tensor 1, element 0 of \(1,\)\)/);
      return true;
    },
  );
});

test("what is 0 in theory may be a rounding error of its neighbours, and no more", () => {
  for (const [dtype, unit] of [
    ["float32", 2 ** -23],
    ["float64", 2 ** -52],
  ] as const) {
    const large = of([1], dtype);
    const differ = (units: number) => () =>
      agree("law", [large, of([units * unit], dtype)], [large, of([0], dtype)], { tolerance: 1e-4 });
    differ(128)();
    assert.throws(differ(129), LawError);
  }
});

test("a tolerance below the rounding is kept", () => {
  const large = of([1]);
  const differ = (by: number) => () => agree("law", [large, of([by])], [large, of([0])], { tolerance: 1e-15 });
  differ(1e-15)();
  assert.throws(differ(2e-15), LawError);
});

test("without a tolerance the bits are the same, −0 and 0 being one, NaN being NaN", () => {
  agree("law", of([0, Number.NaN, Infinity]), of([-0, Number.NaN, Infinity]));
  assert.throws(() => agree("law", of([1 + 2 ** -52]), of([1])), LawError);
  assert.throws(() => agree("law", of([Number.NaN]), of([1]), { tolerance: 1 }), LawError);
  assert.throws(() => agree("law", of([Infinity]), of([1]), { tolerance: 1 }), LawError);
});

test("other shapes, dtypes and numbers of tensors differ", () => {
  assert.throws(() => agree("law", of([1, 2]), of([1])), /expected float64 \(1,\), got float64 \(2,\) \(tensor 0\)/);
  assert.throws(() => agree("law", of([1], "float32"), of([1])), /expected float64 \(1,\), got float32 \(1,\)/);
  assert.throws(() => agree("law", [of([1])], [of([1]), of([2])]), /expected 2 tensors, got 1/);
});

test("the largest difference is told, relative to the largest number of the tree", () => {
  let told = Number.NaN;
  agree("law", [of([8]), of([1])], [of([8]), of([1.5])], {
    tolerance: 0.5,
    onDifference: (largest) => {
      told = largest;
    },
  });
  assert.equal(told, 0.5 / 8);
});
