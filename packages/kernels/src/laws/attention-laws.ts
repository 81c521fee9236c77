import {
  concat,
  expandDims,
  iota,
  less,
  onesLike,
  random,
  slice,
  type Tensor,
  take,
  tensor,
  vjp,
  where,
  zeros,
  zerosLike,
} from "@fmmformer/autodiff";
import { agree, LawError } from "./agreement.ts";
import { type LawOptions, randomLike } from "./op-laws.ts";

// Laws of attention: what is attended, by whom, and that nothing else matters.

/** Attention as the laws see it: q, k (b, h, n, d), v (b, h, n, m), mask (b, n), 1 keeps, to (b, h, n, m). Close over options. */
export type Attention = (q: Tensor, k: Tensor, v: Tensor, mask?: Tensor) => Tensor;

/** What attention is applied to. */
export type Tokens = readonly [q: Tensor, k: Tensor, v: Tensor];

type Triple = [Tensor, Tensor, Tensor];

/** The output, and the cotangents of q, k and v for one of the output. */
function attendAndPull(attend: Attention, x: Tokens, g?: Tensor, mask?: Tensor): readonly [Tensor, Triple] {
  const [o, pullback] = vjp((q: Tensor, k: Tensor, v: Tensor) => attend(q, k, v, mask), ...(x as Triple));
  return [o, pullback((g ?? onesLike(o)) as never) as Triple];
}

/** A bool column (n, 1), true at the tokens chosen. */
function column(n: number, chosen: (j: number) => boolean): Tensor {
  return tensor(
    Uint8Array.from({ length: n }, (_, j) => Number(chosen(j))),
    { shape: [n, 1] },
  );
}

function lengthOf([q]: Tokens): number {
  return q.shape[q.shape.length - 2];
}

/** Weights sum to 1: values that are all 1 come out as 1, or with a mask as exactly 0 where no key is attended. */
export function rowsSumToOne(
  attend: Attention,
  x: Tokens,
  options: LawOptions & { readonly mask?: Tensor } = {},
): void {
  const { tolerance = 1e-12, mask } = options;
  const [q, k, v] = x;
  const sums = attend(q, k, onesLike(v), mask);
  const bad = sums.data.findIndex((value: number) => !(mask && value === 0) && !(Math.abs(value - 1) <= tolerance));
  if (bad >= 0)
    throw new LawError(
      `rowsSumToOne: expected 1${mask ? ", or 0 where no key is attended" : ""}, got ${sums.data[bad]}`,
    );
}

/** A band at least as wide as the sequence attends everywhere: it gives full attention, and its gradients. */
export function wideBandIsFull(
  near: (bandwidth: number) => Attention,
  full: Attention,
  x: Tokens,
  options: LawOptions & { readonly mask?: Tensor } = {},
): void {
  const { tolerance = 1e-12, key = random.key(0), mask } = options;
  const n = lengthOf(x);
  const g = randomLike(key, x[2]);
  const expected = attendAndPull(full, x, g, mask);
  for (const bandwidth of [n, n + 3])
    agree(`wideBandIsFull (bandwidth ${bandwidth}, n ${n})`, attendAndPull(near(bandwidth), x, g, mask), expected, {
      tolerance,
    });
}

/** A band of bandwidth 1 attends to the token itself alone: it gives v. */
export function narrowBandIsIdentity(
  near: (bandwidth: number) => Attention,
  x: Tokens,
  options: LawOptions = {},
): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const [q, k, v] = x;
  const g = randomLike(key, v);
  const found = attendAndPull(near(1), x, g);
  agree("narrowBandIsIdentity", found, [v, [zerosLike(q), zerosLike(k), g]], { tolerance });
}

/**
 * Query i sees nothing of tokens that it does not attend to: other numbers there change neither output i nor its gradient, bit by bit, and
 * its gradient to their keys and values is 0.
 *
 * @param sees - whether query i attends to key j
 */
export function isLocal(
  attend: Attention,
  x: Tokens,
  sees: (i: number, j: number) => boolean,
  options: Pick<LawOptions, "key"> = {},
): void {
  const { key = random.key(0) } = options;
  const n = lengthOf(x);
  const [other, g] = [randomLike(random.fold(key, 0), x), randomLike(random.fold(key, 1), x[2])];
  for (let i = 0; i < n; i++) {
    const atI = where(
      column(n, (j) => j === i),
      g,
      0,
    );
    const hidden = column(n, (j) => j !== i && !sees(i, j));
    const elsewhere = x.map((t, at) => where(hidden, other[at], t)) as unknown as Tokens;
    const [o, dx] = attendAndPull(attend, x, atI);
    const [changed, dchanged] = attendAndPull(attend, elsewhere, atI);
    agree(`isLocal (output ${i})`, take(changed, i, { axis: -2 }), take(o, i, { axis: -2 }));
    agree(`isLocal (gradient of output ${i})`, dchanged, dx);
    const unseen = dx.map((t) => where(hidden, t, 0));
    agree(`isLocal (gradient of output ${i} to unseen tokens)`, unseen, unseen.map(zerosLike));
  }
}

/** Where positions mean nothing: permuting the tokens permutes the output and the gradients, and does nothing else. */
export function isPermutationEquivariant(attend: Attention, x: Tokens, options: LawOptions = {}): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const order = random.permutation(random.fold(key, 0), lengthOf(x));
  const permute = (t: Tensor): Tensor => take(t, order, { axis: -2 });
  const g = randomLike(random.fold(key, 1), x[2]);
  const [o, dx] = attendAndPull(attend, x, g);
  const found = attendAndPull(attend, x.map(permute) as unknown as Tokens, permute(g));
  agree("isPermutationEquivariant", found, [permute(o), dx.map(permute)], { tolerance });
}

/** Keys and values that the mask hides change nothing, bit by bit, whatever they hold, and get gradients of exactly 0. */
export function ignoresPadding(
  attend: Attention,
  x: Tokens,
  mask: Tensor,
  options: Pick<LawOptions, "key"> = {},
): void {
  const { key = random.key(0) } = options;
  const [q, k, v] = x;
  const kept = expandDims(expandDims(mask, -1), -3);
  const other = randomLike(random.fold(key, 0), { k, v });
  const g = randomLike(random.fold(key, 1), v);
  const found = attendAndPull(attend, x, g, mask);
  const changed: Tokens = [q, where(kept, k, other.k), where(kept, v, other.v)];
  agree("ignoresPadding", attendAndPull(attend, changed, g, mask), found);
  const padding = found[1].slice(1).map((t) => where(kept, 0, t));
  agree("ignoresPadding (gradient of padding)", padding, padding.map(zerosLike));
}

/** Where every key is masked the output is exactly 0, and so are the gradients. */
export function isZeroWhereMasked(attend: Attention, x: Tokens): void {
  const [q] = x;
  const nothing = zeros([...q.shape.slice(0, -3), lengthOf(x)], { dtype: "bool" });
  const [o, dx] = attendAndPull(attend, x, undefined, nothing);
  agree("isZeroWhereMasked", [o, dx], [zerosLike(o), dx.map(zerosLike)]);
}

/**
 * Sequences padded to one length, their padding masked, give what each gives alone; so do their gradients.
 *
 * @param sequences - (1, h, nᵢ, …) each
 */
export function paddedIsSeparate(attend: Attention, sequences: readonly Tokens[], options: LawOptions = {}): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const longest = Math.max(...sequences.map(lengthOf));
  const padded = sequences.map((x, s) => x.map((t) => extend(t, longest - lengthOf(x), random.fold(key, s))));
  const mask = concat(sequences.map((x) => expandDims(present(lengthOf(x), longest), 0)));
  const together = [0, 1, 2].map((at) => concat(padded.map((x) => x[at]))) as unknown as Tokens;
  const g = sequences.map(([, , v], s) => randomLike(random.fold(key, s), v));
  const gs = concat(g.map((t) => extend(t, longest - t.shape[2])));
  const [o, dx] = attendAndPull(attend, together, gs, mask);
  sequences.forEach((x, s) => {
    const alone = (t: Tensor): Tensor => slice(t, [s], [s + 1, t.shape[1], lengthOf(x)]);
    agree("paddedIsSeparate", [alone(o), dx.map(alone)], attendAndPull(attend, x, g[s]), { tolerance });
  });
}

/**
 * Sequences one after another, with masked tokens in between, give what each gives alone; so do their gradients. That holds where attention
 * reaches no further than the gap.
 *
 * @param sequences - (1, h, nᵢ, …) each
 * @param options.gap - how many masked tokens stand between two sequences: bandwidth − 1
 */
export function packedIsSeparate(
  attend: Attention,
  sequences: readonly Tokens[],
  options: LawOptions & { readonly gap: number },
): void {
  const { tolerance = 1e-12, key = random.key(0), gap } = options;
  const packed = [0, 1, 2].map((at) =>
    concat(
      sequences.map((x, s) => extend(x[at], gap, random.fold(key, s))),
      { axis: 2 },
    ),
  ) as unknown as Tokens;
  const mask = expandDims(concat(sequences.map((x) => present(lengthOf(x), lengthOf(x) + gap))), 0);
  const g = sequences.map(([, , v], s) => randomLike(random.fold(key, s), v));
  const gs = concat(
    g.map((t) => extend(t, gap)),
    { axis: 2 },
  );
  const [o, dx] = attendAndPull(attend, packed, gs, mask);
  let from = 0;
  sequences.forEach((x, s) => {
    const start = from;
    from += lengthOf(x) + gap;
    const alone = (t: Tensor): Tensor => slice(t, [0, 0, start], [1, t.shape[1], start + lengthOf(x)]);
    agree("packedIsSeparate", [alone(o), dx.map(alone)], attendAndPull(attend, x, g[s]), { tolerance });
  });
}

/** The sequence with tokens appended: random ones, or zeros without a key. */
function extend(t: Tensor, by: number, key?: Tensor): Tensor {
  const { shape, dtype } = t;
  const added = zeros([...shape.slice(0, -2), by, shape[shape.length - 1]], { dtype });
  return concat([t, key ? randomLike(key, added) : added], { axis: -2 });
}

/** A mask of `length` tokens whose first n are there. */
function present(n: number, length: number): Tensor {
  return less(iota(length), n);
}
