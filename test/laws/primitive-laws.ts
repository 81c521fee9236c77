import assert from "node:assert/strict";
import { test } from "node:test";
import { FmmformerError, isFloat, jvp, random, type Tensor, trace, vjp } from "@fmmformer/autodiff";
import {
  agree,
  commutesWithJit,
  commutesWithVmap,
  hasGradient,
  isAdjoint,
  isPure,
  randomLike,
} from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { tensorOf, total } from "./elements.ts";
import { type Entry, inDType, type Use } from "./entry.ts";

const runs = { numRuns: 25 };

/** Test that a primitive keeps all laws. */
export function obeysLaws(entry: Entry): void {
  const { primitive, uses, kind = "smooth", result = "float64", dtypes = ["float32"], refuses = [] } = entry;
  const { tolerance = 1e-12 } = entry;
  const law = (what: string, check: (use: Use) => void): void => {
    test(`${primitive} ${what}`, () => fc.assert(fc.property(uses, check), runs));
  };

  test(`${primitive} is what its op records`, () => {
    const records = ({ op, calls: [args] }: Use): boolean =>
      trace(op)(...args).equations.some(({ prim }) => prim.name === primitive);
    assert.ok(fc.sample(uses, 20).some(records));
  });

  law("has the shape and the elements of its definition", ({ op, calls: [args], shape, element }) => {
    agree("value", op(...args), tensorOf(shape, result, element(...args)), { tolerance });
    for (const dtype of dtypes) {
      const given = args.map((x) => inDType(x, dtype));
      const expected = tensorOf(shape, result === "float64" ? dtype : result, element(...given));
      agree(`value of ${dtype}`, op(...given), expected, { tolerance: isFloat(dtype) ? 1e-5 : 0 });
    }
  });

  if (kind === "constant") {
    law("has no derivative", ({ op, calls: [args] }) => {
      const [y, pull] = vjp(op, ...args);
      for (const g of pull(randomLike(random.key(0), y))) assert.ok(!g?.data.some((v) => v !== 0), `${g}`);
    });
  } else {
    law("has the derivatives that differences show", ({ op, calls: [args] }) => hasGradient(op, args));
  }
  if (kind === "linear") {
    law("is linear and its pullback its adjoint", ({ op, calls: [args] }) => {
      isAdjoint((xs: Tensor[]) => op(...xs), args, { tolerance });
    });
  }

  law("pushes tangents forward as it pulls cotangents back", ({ op, calls: [args] }) => {
    const [y, pull] = vjp(op, ...args);
    if (!isFloat(y.dtype)) return;
    const [g, t] = [randomLike(random.key(1), y), randomLike(random.key(2), args)];
    const [, dy] = jvp(op, args, t);
    const [forward, backward] = [inner([dy], [g]), inner(pull(g), t)];
    assert.ok(Math.abs(forward - backward) <= 100 * tolerance * (1 + Math.abs(forward)), `${forward} ≠ ${backward}`);
  });

  law("leaves its arguments alone", ({ op, calls: [args] }) => isPure(op, args));

  law("commutes with vmap, whichever arguments are mapped", ({ op, calls }) => {
    const n = calls[0].length;
    for (let mapped = 1; mapped < 2 ** n; mapped++) {
      const axes = calls[0].map((_, i) => (mapped & (1 << i) ? 0 : null));
      commutesWithVmap(op, calls, { in: axes });
    }
  });

  law("commutes with jit", ({ op, calls: [args] }) => commutesWithJit(op, args));

  if (refuses.length === 0) return;
  test(`${primitive} refuses what it cannot take`, () => {
    for (const [call, message] of refuses) {
      assert.throws(call, (error: Error) => {
        assert.equal(error.message, message);
        assert.ok(error instanceof FmmformerError || error instanceof RangeError, error.name);
        return true;
      });
    }
  });
}

function inner(xs: readonly (Tensor | null)[], ys: readonly (Tensor | null)[]): number {
  return xs.reduce((sum, x, i) => sum + (x ? total(x.size, (j) => x.data[j] * ys[i]!.data[j]) : 0), 0);
}
