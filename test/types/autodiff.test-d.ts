// Checked by tsc, not run: what must compile, with the types it must have, and what must not.

import {
  type AsyncEngine,
  add,
  type Cotangent,
  checkpoint,
  customVjp,
  type Engine,
  grad,
  hessian,
  jacobian,
  jit,
  jvp,
  linearize,
  mul,
  type Scalar,
  scan,
  stopGradient,
  sum,
  type Tensor,
  treeMap,
  valueAndGrad,
  vjp,
  vmap,
} from "@fmmformer/autodiff";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles where two types are one. */
declare function same<A, B>(...proof: Same<A, B> extends true ? [] : [differ: { first: A; second: B }]): void;

interface Layer {
  readonly weight: Tensor;
  readonly bias?: Tensor;
  readonly norm: Tensor | null;
}

interface Params {
  readonly layers: readonly [Layer, Layer];
  readonly scale: number;
  readonly name: "encoder" | "decoder";
  readonly heads: { readonly [key: string]: Tensor };
}

declare const params: Params;
declare const x: Tensor;
declare const loss: (p: Params, x: Tensor, rate: number) => Tensor;
declare const withAux: (
  p: Params,
  x: Tensor,
) => readonly [Tensor, { readonly accuracy: number; readonly logits: Tensor }];
declare const engine: Engine;
declare const asyncEngine: AsyncEngine;

// A gradient has the type of its argument: numbers become tensors, what is no value stays.
const g = grad(loss)(params, x, 0.1);
same<typeof g.layers, readonly [Cotangent<Layer>, Cotangent<Layer>]>();
same<(typeof g.layers)[0]["weight"], Tensor>();
same<(typeof g.layers)[0]["bias"], Tensor | undefined>();
same<(typeof g.layers)[0]["norm"], Tensor | null>();
same<typeof g.scale, Tensor>();
same<typeof g.name, "encoder" | "decoder">();
same<typeof g.heads, { readonly [key: string]: Tensor }>();

// Argument positions.
const first: Tensor = grad(loss, { argnums: 1 })(params, x, 0.1);
const [second, third] = grad(loss, { argnums: [1, 2] })(params, x, 0.1);
same<typeof second, Tensor>();
same<typeof third, Tensor>();
const zero: Cotangent<Params> = grad(loss, { argnums: 0 })(params, x, 0.1);

// Auxiliary results.
const [g1, aux] = grad(withAux, { hasAux: true })(params, x);
same<typeof g1, Cotangent<Params>>();
same<typeof aux, { readonly accuracy: number; readonly logits: Tensor }>();
const [[value, aux2], g2] = valueAndGrad(withAux, { hasAux: true })(params, x);
same<typeof value, Tensor>();
same<typeof aux2.accuracy, number>();
same<typeof g2.scale, Tensor>();
const [value3, g3] = valueAndGrad(loss)(params, x, 0.1);
same<typeof value3, Tensor>();
same<typeof g3, Cotangent<Params>>();

// Classes keep their fields; methods have no cotangent.
declare class Model {
  readonly weight: Tensor;
  apply(x: Tensor): Tensor;
}
declare const model: Model;
const gm = grad((m: Model) => sum(m.apply(x)))(model);
same<typeof gm.weight, Tensor>();
same<typeof gm.apply, never>();

// Derivatives of numbers, and of derivatives.
const d: Tensor = grad((t: Scalar) => mul(t, t))(3);
const dd: Tensor = grad((t: Tensor) => sum(grad((u: Tensor) => sum(mul(u, u)))(t)))(x);

// Transformations keep signatures and nest.
const nested = jit(vmap(grad(checkpoint(loss)), { in: [null, 0, null] }));
same<Parameters<typeof nested>, [p: Params, x: Tensor, rate: number]>();
same<ReturnType<typeof nested>, Cotangent<Params>>();
const compiled = jit(loss, { engine });
same<ReturnType<typeof compiled>, Tensor>();
const later = jit(loss, { engine: asyncEngine });
same<ReturnType<typeof later>, Promise<Tensor>>();

// vjp, jvp, linearize.
const [y, pull] = vjp((a: Params, b: Tensor) => ({ sum: add(b, a.scale), count: 3 }), params, x);
same<typeof y, { sum: Tensor; count: number }>();
const [ga, gb] = pull({ sum: x, count: x });
same<typeof ga, Cotangent<Params>>();
same<typeof gb, Tensor>();
const [, tangent] = jvp((a: Tensor, b: Tensor) => [a, b] as const, [x, x], [x, x]);
same<typeof tangent, readonly [Tensor, Tensor]>();
const [, push] = linearize((a: Tensor, b: { readonly c: Tensor }) => add(a, b.c), x, { c: x });
const pushed: Tensor = push(x, { c: x });
const h = hessian((t: Tensor) => sum(t))(x);
same<typeof h, Tensor>();
const blocks = jacobian(
  (p: { readonly a: Tensor; readonly n: number }) => [mul(p.a, p.n), { total: sum(p.a) }] as const,
)({ a: x, n: 2 });
same<(typeof blocks)[0], { readonly a: Tensor; readonly n: Tensor }>();
same<(typeof blocks)[1]["total"]["n"], Tensor>();

// Loops infer carry, step and results, from a plain pair too.
const [carry, ys] = scan(
  (c: { readonly a: Tensor }, step: Tensor) => [{ a: add(c.a, step) }, { seen: c.a }],
  { a: x },
  x,
);
same<typeof carry, { a: Tensor }>();
same<typeof ys, { seen: Tensor }>();
const [counted] = scan((c: Tensor) => [add(c, 1), null], x, null, { length: 3 });
same<typeof counted, Tensor>();

// Custom ops infer arguments, results and residuals.
const op = customVjp({
  name: "op",
  forward: (a: Tensor, options: { readonly bandwidth: number }) => [mul(a, options.bandwidth), { kept: a }],
  pullback: ({ kept }, ct, needs) => {
    same<typeof kept, Tensor>();
    same<typeof ct, Tensor>();
    same<typeof needs, readonly boolean[]>();
    return [mul(ct, kept), null];
  },
});
same<ReturnType<typeof op>, Tensor>();
const used: Tensor = op(x, { bandwidth: 3 });

// Trees.
const moved: Params = treeMap((leaf) => mul(leaf, 2), params);
same<ReturnType<typeof stopGradient<Params>>, Params>();
const stopped: Tensor = stopGradient(2);

void [first, zero, d, dd, pushed, used, moved, stopped];

// ——— What must not compile ———

// @ts-expect-error: a gradient is taken of a scalar, not of a pair
grad((a: Tensor) => [a, a])(x);
// @ts-expect-error: the result must be a tensor or a number
grad((a: Tensor) => `${a}`)(x);
// @ts-expect-error: hasAux wants a pair
grad((a: Tensor) => sum(a), { hasAux: true })(x);
// @ts-expect-error: the wrong argument
grad(loss)(x, params, 0.1);
// @ts-expect-error: one argument is missing
jit(loss)(params, x);
// @ts-expect-error: a promise is not the result
jit(loss, { engine: asyncEngine })(params, x, 0.1).shape;
// @ts-expect-error: an unknown option
jit(loss, { engin: engine });
// @ts-expect-error: a function among the parameters has no cotangent
grad((p: { w: Tensor; f: (a: Tensor) => Tensor }) => p.f(p.w))({ w: x, f: sum }).f(x);
// @ts-expect-error: tangents have the form of the arguments
jvp((p: { a: Tensor }) => p.a, [{ a: x }], [x]);
// @ts-expect-error: one tangent for each argument
jvp((a: Tensor, b: Tensor) => add(a, b), [x, x], [x]);
// @ts-expect-error: the carry changes its form
scan((c: Tensor, step: Tensor) => [[c], step], x, x);
// @ts-expect-error: the step returns no pair
scan((c: Tensor, step: Tensor) => add(c, step), x, x);
// @ts-expect-error: ops take tensors and numbers, not arrays
add([1, 2], x);
// @ts-expect-error: tensors are immutable
x.shape[0] = 3;
// @ts-expect-error: an axis tree holds numbers
vmap((a: Tensor) => a, { in: ["0"] });
// @ts-expect-error: the pullback gives one cotangent for each argument
customVjp({ name: "bad", forward: (a: Tensor, b: Tensor) => [add(a, b), null], pullback: (_, ct: Tensor) => [ct] });
