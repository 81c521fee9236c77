import {
  add,
  argmax,
  cast,
  concat,
  customVjp,
  DTypeError,
  equal,
  exp,
  expandDims,
  full,
  greater,
  iota,
  log,
  matmul,
  max,
  maximum,
  mul,
  reshape,
  ShapeError,
  scan,
  showShape,
  slice,
  sub,
  sum,
  type Tensor,
  take,
  transpose,
  where,
  zerosLike,
} from "@fmmformer/autodiff";
import { expectShape } from "./expect-shape.ts";
import { promoteFloats } from "./promote-floats.ts";

export interface LinearCrossEntropyOptions {
  /** How many classes are looked at at once; 1024 unless told */
  readonly chunk?: number;
}

/** What `linearCrossEntropy` tells of each row. */
export interface LinearCrossEntropy {
  /** (…) in nats */
  readonly losses: Tensor;
  /** int32 (…) the likeliest class, the first of equals; a constant to gradients */
  readonly named: Tensor;
}

/**
 * Cross-entropy of a linear map's softmax with labels, in nats, without ever holding the logits:
 *
 *     y = ln Σ_v e^{x·w_v + b_v} − (x·w_label + b_label)
 *
 * Classes are looked at in chunks, and the pullback computes each chunk again. A running maximum keeps e^… from overflow and the digits of
 * large logits.
 *
 * @param x - (…, c), t rows in all
 * @param weight - (classes, c)
 * @param bias - (classes)
 * @param labels - int32 (…), from 0 to classes − 1
 * @returns losses and the likeliest classes, in O(t·classes·c) time and O(t·chunk) extra memory
 * @throws ShapeError when sizes differ, DTypeError when labels are not int32, RangeError when one is no class or chunk is no integer ≥ 1
 */
export function linearCrossEntropy(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  labels: Tensor,
  { chunk = 1024 }: LinearCrossEntropyOptions = {},
): LinearCrossEntropy {
  if (weight.shape.length !== 2) {
    throw new ShapeError(`linearCrossEntropy: expected weight (classes, c), got ${showShape(weight.shape)}`);
  }
  const [classes, c] = weight.shape;
  const lead = x.shape.slice(0, -1);
  expectShape("linearCrossEntropy", "x", x, lead, { c });
  expectShape("linearCrossEntropy", "bias", bias, [], { classes });
  expectShape("linearCrossEntropy", "labels", labels, lead, {});
  if (labels.dtype !== "int32") {
    throw new DTypeError(`linearCrossEntropy: expected int32 labels, got ${labels.dtype}; cast them first`);
  }
  if (!Number.isInteger(chunk) || chunk < 1) {
    throw new RangeError(`linearCrossEntropy: expected chunk to be an integer ≥ 1, got ${chunk}`);
  }
  const t = lead.reduce((a, b) => a * b, 1);
  const [rows, w, b] = promoteFloats([reshape(x, [t, c]), weight, bias]);
  const { losses, named } = op(rows, w, b, reshape(labels, [t]), { chunk });
  return { losses: reshape(losses, lead), named: reshape(named, lead) };
}

/** Some classes: the rows of their weights (k, c), their biases (k), and the number of the first. */
interface Chunk {
  readonly rows: Tensor;
  readonly biases: Tensor;
  readonly first: Tensor;
}

const op = customVjp({
  name: "linearCrossEntropy",
  forward(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, { chunk }: Required<LinearCrossEntropyOptions>) {
    const known = take(iota(weight.shape[0]), labels); // a label that is no class throws here
    const none = zerosLike(sum(x, { axis: 1 })); // (t)
    const start = {
      top: full(none.shape, -Infinity, { dtype: x.dtype }),
      total: none,
      target: none,
      named: zerosLike(known),
    };
    const [{ top, total, target, named }] = overChunks(start, weight, bias, chunk, (so, part) => {
      const logits = logitsOf(x, part); // (t, k)
      const highest = max(logits, { axis: 1 });
      const next = maximum(so.top, highest);
      const shift = where(equal(next, -Infinity), 0, next); // classes so far may all be out of the question
      const terms = exp(sub(logits, expandDims(shift, 1)));
      const hit = where(isLabel(known, part), logits, 0);
      const carry = {
        top: next,
        total: add(mul(so.total, exp(sub(so.top, shift))), sum(terms, { axis: 1 })),
        target: add(so.target, sum(hit, { axis: 1 })),
        named: where(greater(highest, so.top), add(argmax(logits, { axis: 1 }), part.first), so.named),
      };
      return [carry, {}];
    });
    const rest = log(total);
    const losses = add(rest, sub(top, target)); // (t)
    return [
      { losses, named },
      { x, weight, bias, known, top, rest, chunk },
    ];
  },
  // With p the softmax and e the label's unit vector: dlogits = g (p − e), chunk by chunk.
  pullback({ x, weight, bias, known, top, rest, chunk }, { losses: g }) {
    const [dx, { rows, biases }] = overChunks(zerosLike(x), weight, bias, chunk, (so, part) => {
      const p = exp(sub(sub(logitsOf(x, part), expandDims(top, 1)), expandDims(rest, 1))); // (t, k)
      const d = mul(expandDims(g, 1), sub(p, cast(isLabel(known, part), p.dtype)));
      return [add(so, matmul(d, part.rows)), { rows: matmul(transpose(d), x), biases: sum(d, { axis: 0 }) }];
    });
    return [dx, rows, biases, null, null];
  },
});

/** (t, k) */
function logitsOf(x: Tensor, { rows, biases }: Chunk): Tensor {
  return add(matmul(x, transpose(rows)), biases);
}

/** (t, k) where a class of the chunk is the row's label */
function isLabel(labels: Tensor, { biases, first }: Chunk): Tensor {
  return equal(expandDims(sub(labels, first), 1), iota(biases.shape[0]));
}

/** Loop over the classes with a carry, `chunk` at a time and the rest at the end; results are joined along the classes. */
function overChunks<Carry, Results extends { readonly [name: string]: Tensor }>(
  start: Carry,
  weight: Tensor,
  bias: Tensor,
  chunk: number,
  step: (carry: Carry, part: Chunk) => readonly [Carry, Results],
): readonly [Carry, Results] {
  const [classes, c] = weight.shape;
  const chunks = Math.floor(classes / chunk);
  const whole = chunks * chunk;
  const rest = (carry: Carry): readonly [Carry, Results] =>
    step(carry, {
      rows: slice(weight, [whole]),
      biases: slice(bias, [whole]),
      first: full([], whole, { dtype: "int32" }),
    });
  if (chunks === 0) return rest(start);
  const parts: Chunk = {
    rows: reshape(slice(weight, [0], [whole]), [chunks, chunk, c]),
    biases: reshape(slice(bias, [0], [whole]), [chunks, chunk]),
    first: mul(iota(chunks), chunk),
  };
  const [carry, stacked] = scan(step, start, parts);
  const joined = Object.entries(stacked).map(([name, y]) => [name, reshape(y, [whole, ...y.shape.slice(2)])] as const);
  if (whole === classes) return [carry, Object.fromEntries(joined) as Results];
  const [last, ofRest] = rest(carry);
  return [last, Object.fromEntries(joined.map(([name, y]) => [name, concat([y, ofRest[name]])])) as Results];
}
