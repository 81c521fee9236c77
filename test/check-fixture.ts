import {
  type AsyncEngine,
  cast,
  type Engine,
  isFloat,
  jit,
  onesLike,
  plain,
  ShapeError,
  showShape,
  type Tensor,
  vjp,
} from "@fmmformer/autodiff";
import type { Safetensors } from "@fmmformer/models";
import { type Named, rebuild } from "./official-modules.ts";

/** The array of a fixture that is furthest off, and how far: relative to its largest number. */
export interface Worst {
  readonly array: string;
  readonly error: number;
}

/**
 * Run the module that a fixture is of and compare every output and gradient in the file with ours.
 *
 * The error of an array is its largest difference over the largest number in it, or over 10⁻⁶ of the largest gradient in the file where
 * that is larger: some gradients are 0 in theory.
 *
 * @throws TypeError when the file has an array that the module does not give
 */
export async function checkFixture(fixture: Safetensors, engine: Engine | AsyncEngine = plain): Promise<Worst> {
  const { tensors } = fixture;
  const module = rebuild(fixture);
  const isInput = (name: string): boolean => !/^(out|logits|loss|cotangent|grad[._].*)$/.test(name);
  // The plain engine is exact where the file's own rounding is all that is left; the others run in what they are made for.
  const exact = (x: Tensor): Tensor => (engine === plain && isFloat(x.dtype) ? cast(x, "float64") : x);
  const given = Object.entries(tensors).filter(([name]) => isInput(name));
  const inputs = Object.fromEntries(given.map(([name, x]) => [name, exact(x)]));
  const run = jit(
    (given: Named, ct: Tensor | null): readonly [Named, Named] => {
      const [outs, pullback] = vjp(module, given);
      const first = "loss" in outs ? "loss" : "out";
      const cts = Object.fromEntries(
        Object.keys(outs).map((name) => [name, name === first ? (ct ?? onesLike(outs[name])) : null]),
      );
      return [outs, pullback(cts as never)[0] as Named];
    },
    { engine: engine as AsyncEngine },
  );
  const [outs, grads] = await run(inputs, tensors.cotangent ? exact(tensors.cotangent) : null);
  const ours = { ...outs, ...gradientsByName(inputs, grads) };
  const expected = Object.keys(tensors).filter((name) => !isInput(name) && name !== "cotangent");
  const unknown = expected.find((name) => !(name in ours));
  if (unknown) throw new TypeError(`fixtures: expected outputs and gradients of inputs, got ${unknown}`);
  const largest = Math.max(0, ...expected.filter((name) => name.startsWith("grad")).map((name) => size(tensors[name])));
  return expected
    .map((array) => ({ array, error: difference(array, ours[array], tensors[array], 1e-6 * largest) }))
    .reduce((a, b) => (b.error > a.error ? b : a));
}

/** What files call the gradient of an input: `grad_q` of q, `grad_param.x` or `grad.x` of param.x. */
function gradientsByName(inputs: Named, grads: Named): Named {
  const named = Object.keys(inputs)
    .filter((name) => isFloat(inputs[name].dtype))
    .flatMap((name) => [
      [`grad_${name}`, grads[name]],
      [name.replace(/^param\./, "grad."), grads[name]],
    ]);
  return Object.fromEntries(named) as Named;
}

function size(x: Tensor): number {
  let most = 0;
  for (const value of x.data) most = Math.max(most, Math.abs(value));
  return most;
}

function difference(name: string, x: Tensor, y: Tensor, least: number): number {
  if (x.size !== y.size)
    throw new ShapeError(`fixtures: expected ${name} ${showShape(y.shape)}, got ${showShape(x.shape)}`);
  let most = 0;
  for (let i = 0; i < y.size; i++) {
    const apart = Math.abs(x.data[i] - y.data[i]);
    if (Number.isNaN(apart)) return Number.POSITIVE_INFINITY;
    most = Math.max(most, apart);
  }
  return most / Math.max(size(y), least, Number.MIN_VALUE);
}
