import { add, customVjp, mul, scan, sin, sub, sum, type Tensor, tanh, tensor, zeros } from "@fmmformer/autodiff";
import { distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { type Elements, elementsOf, range } from "../elements.ts";
import { type Entry, type Use, useOf } from "../entry.ts";

const sizes = distinctSizes(["n", "m"]);

/** s·sin(x)·y, with a pullback of its own that keeps sin(x), which is no input. */
const scaledSine = customVjp({
  name: "scaledSine",
  forward: (x: Tensor, y: Tensor, options: { readonly scale: number }) => {
    const s = sin(x);
    return [mul(mul(s, y), options.scale), { s, x, y, scale: options.scale }];
  },
  pullback: ({ s, x, y, scale }, g: Tensor, [ofX, ofY]) => [
    ofX ? mul(mul(g, mul(y, scale)), sin(add(x, Math.PI / 2))) : null,
    ofY ? mul(mul(g, s), scale) : null,
    null,
  ],
});

const calls = sizes.chain(({ n, m }) =>
  useOf([tensors([n, m]), tensors([n, m])], {
    op: ((x: Tensor, y: Tensor) => scaledSine(x, y, { scale: 1.5 })) as Use["op"],
    shape: [n, m],
    element:
      (x, y) =>
      (...index) =>
        1.5 * Math.sin(elementsOf(x)(...index)) * elementsOf(y)(...index),
  }),
);

/** The states c_t = tanh(w c_{t−1} + x_t) of a loop, one by one, in the order in which it meets the steps. */
function states(w: Elements, init: Elements, xs: Elements, order: readonly number[], m: number): Map<number, number[]> {
  const found = new Map<number, number[]>();
  let carry = range(m).map((j) => init(j));
  for (const t of order) {
    carry = carry.map((c, j) => Math.tanh(w(j) * c + xs(t, j)));
    found.set(t, carry);
  }
  return found;
}

const scans = fc
  .tuple(sizes, fc.record({ reverse: fc.boolean(), checkpoint: fc.constantFrom(0, 2) }))
  .chain(([{ n, m }, options]) =>
    useOf([tensors([m]), tensors([m]), tensors([n, m])], {
      op: (w, init, xs) => {
        const step = (c: Tensor, x: Tensor): readonly [Tensor, Tensor] => {
          const next = tanh(add(mul(w, c), x));
          return [next, sub(next, x)];
        };
        const [last, ys] = scan(step, init, xs, options);
        return add(ys, last);
      },
      shape: [n, m],
      element: (w, init, xs) => {
        const order = options.reverse ? range(n).reverse() : range(n);
        const found = states(elementsOf(w), elementsOf(init), elementsOf(xs), order, m);
        const last = order.length > 0 ? found.get(order[n - 1])! : [];
        return (t, j) => found.get(t)![j] - elementsOf(xs)(t, j) + last[j];
      },
    }),
  );

export const programTable: readonly Entry[] = [
  { primitive: "call", uses: calls },
  {
    primitive: "scan",
    uses: scans,
    refuses: [
      [
        () => scan((c: Tensor, x: { a: Tensor; b: Tensor }) => [c, x.a], tensor(0), { a: zeros([3]), b: zeros([4]) }),
        "scan: expected 3 steps in every input, got 4",
      ],
      [
        () => scan((c: Tensor) => [add(c, zeros([2])), null], tensor(0), null, { length: 3 }),
        "scan: expected f to keep the carry's shape (), got (2,)",
      ],
      [
        () => scan((c: Tensor) => [c, null], tensor(0), null),
        "scan: expected step inputs or a length, got neither; give { length }",
      ],
      [
        () => scan((c: Tensor, x: Tensor) => [add(c, sum(x)), null], tensor(0), zeros([3, 2]), { length: 4 }),
        "scan: expected 4 steps in every input, got 3",
      ],
    ],
  },
];
