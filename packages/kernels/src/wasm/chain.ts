import type { DType } from "@fmmformer/autodiff";
import { sameShape, sizeOf } from "@fmmformer/autodiff/extend";
import { arrange, tile } from "./arrange.ts";
import type { ChainFunction } from "./binary/names.ts";
import { type Buffer, double, float, type Place, type Step, storageOf, type Word } from "./plan.ts";
import { bytesOf, joined, refine, type View, type Walk, walkOf } from "./view.ts";

// Elementwise ops over one space of elements become one step: assembly/chain.ts. What is here grows such a step op by op, and in the end
// finds axes so fine that every operand walks them with constant strides.

/** A value inside a chain. It has storage only when something outside asks for it. */
export interface Node {
  readonly chain: Chain;
  readonly dtype: DType;
  readonly number: number;
  stored: View | null;
}

type Input = Node | View;

export interface Reduction {
  readonly of: Node;
  readonly op: "sum" | "max";
  /** Of the space, as `shape` cuts it */
  readonly axes: readonly number[];
  readonly shape: readonly number[];
  readonly out: View;
}

/** Ops that run together over the elements of one space. */
export interface Chain {
  /** Its place among the steps */
  readonly at: number;
  readonly size: number;
  readonly instructions: { readonly apply: ChainFunction; readonly of: readonly Input[]; readonly to: Node }[];
  readonly reads: View[];
  readonly reductions: Reduction[];
  readonly nodes: Node[];
}

export function newChain(at: number, shape: readonly number[]): Chain {
  return { at, size: sizeOf(shape), instructions: [], reads: [], reductions: [], nodes: [] };
}

export function isNode(x: Node | View): x is Node {
  return "chain" in x;
}

/** More axes than assembly/chain.ts has words for. */
export const mostAxes = 8;
const mostInstructions = 48;

function sameView(a: View, b: View): boolean {
  return (
    Object.is(a.source, b.source) &&
    a.offset === b.offset &&
    a.dtype === b.dtype &&
    sameShape(a.shape, b.shape) &&
    sameShape(a.strides, b.strides)
  );
}

/** Whether these operands and this reduction can be part of a chain: axes fine enough for all exist. */
export function fits(chain: Chain, views: readonly View[], reduced?: Pick<Reduction, "axes" | "shape">): boolean {
  if (chain.instructions.length >= mostInstructions) return false;
  const walks: Walk[] = [{ sizes: [chain.size], strides: null }];
  for (const view of [...chain.reads, ...views]) walks.push(walkOf(view));
  for (const node of chain.nodes) if (node.stored) walks.push(walkOf(node.stored));
  for (const { shape } of [...chain.reductions, ...(reduced ? [reduced] : [])])
    walks.push({ sizes: shape, strides: null });
  const cut = refine(walks);
  if (!cut || cut.sizes.length > mostAxes) return false;
  if (!reduced) return true;
  const all = [...chain.reductions, reduced].map((r) => reducedAxes(cut.sizes, r).join());
  return all.every((axes) => axes === all[0]);
}

/** Which axes of a refinement lie inside the reduced axes. */
function reducedAxes(sizes: readonly number[], { axes, shape }: Pick<Reduction, "axes" | "shape">): boolean[] {
  const found: boolean[] = [];
  let at = sizes.length - 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    for (let left = shape[axis]; left > 1; at--) {
      found[at] = axes.includes(axis);
      left /= sizes[at];
    }
  }
  return found;
}

/** Add an op, and give its value. Operands have the elements of the space, broadcast where they must. */
export function instruct(chain: Chain, apply: ChainFunction, operands: readonly Input[], dtype: DType): Node {
  const of = operands.map((x) => (isNode(x) ? x : read(chain, x)));
  const to: Node = { chain, dtype, number: chain.nodes.length, stored: null };
  chain.nodes.push(to);
  chain.instructions.push({ apply, of, to });
  return to;
}

function read(chain: Chain, view: View): View {
  const known = chain.reads.find((x) => sameView(x, view));
  if (!known) chain.reads.push(view);
  return known ?? view;
}

/** Ops that cost less than writing a value and reading it again. */
const cheap = /^(add|sub|mul|neg|abs|maximum|minimum|equal|less|lessEqual|copy|(float|int|bool)\w*)_/;

/** The one or two stored operands from which a few cheap ops with constants make a value; null where it takes more than that. */
export function cheapRoots(node: Node): readonly View[] | null {
  const roots = new Set<View>();
  const ops = new Set<Node>();
  const visit = (x: Input): boolean => {
    if (isNode(x) && !x.stored) {
      if (ops.has(x)) return true;
      const { apply, of } = x.chain.instructions[x.number];
      return ops.add(x).size <= mostAgain && cheap.test(apply) && of.every(visit);
    }
    const root = isNode(x) ? (x.stored as View) : x;
    return typeof root.source === "number" || roots.add(root).size <= 2;
  };
  return visit(node) && roots.size > 0 ? [...roots] : null;
}

const mostAgain = 8;

/** Compute a value that has cheap roots once more, in another chain. */
export function again(node: Node, chain: Chain, made: Map<Node, Node> = new Map()): Node {
  const { apply, of } = node.chain.instructions[node.number];
  const operands = of.map((x) => (isNode(x) ? (x.stored ?? made.get(x) ?? again(x, chain, made)) : x));
  const value = instruct(chain, apply, operands, node.dtype);
  made.set(node, value);
  return value;
}

/** A view as a value of the chain that can be reduced. */
export function instructCopy(chain: Chain, x: View): Node {
  return instruct(chain, bytesOf[x.dtype] === 8 ? "copy_8" : "copy_4", [x], x.dtype);
}

/** What a chain computes for its stored values and reductions, and reads for that. The rest was computed anew elsewhere. */
export function pruned(chain: Chain): Pick<Chain, "instructions" | "reads"> {
  const needed = new Set<Input>(chain.reductions.map(({ of }) => of));
  const instructions = chain.instructions.toReversed().filter(({ of, to }) => {
    if (!to.stored && !needed.has(to)) return false;
    for (const x of of) needed.add(x);
    return true;
  });
  return { instructions: instructions.reverse(), reads: chain.reads.filter((x) => needed.has(x)) };
}

const kinds: Readonly<Record<DType, number>> = { float32: 0, float64: 2, int32: 4, bool: 4 };

/** The steps of a chain: the chain itself, and what adds up partial results. `buffer` gives new storage. */
export function chainSteps(chain: Chain, label: string, buffer: (bytes: number) => Buffer): Step[] {
  const stored = chain.nodes.filter((node) => node.stored);
  if (stored.length === 0 && chain.reductions.length === 0) return [];
  const { instructions, reads: allReads } = pruned(chain);
  // ——— Axes for all, reduced ones where the kernel wants them ———
  const reads = allReads.filter((x) => typeof x.source !== "number");
  const operands = [...reads, ...stored.map((node) => node.stored as View)];
  const cut = refine([
    { sizes: [chain.size], strides: null },
    ...operands.map(walkOf),
    ...chain.reductions.map(({ shape }) => ({ sizes: shape, strides: null })),
  ]);
  if (!cut) throw new Error("wasm: operands of a chain do not fit together");
  const walks = cut.strides.slice(1, 1 + operands.length) as (readonly number[])[];
  const reduced = chain.reductions.length > 0 ? reducedAxes(cut.sizes, chain.reductions[0]) : null;
  const { mode, order, outer, rows, inner, folded, repeated } = arrange(cut.sizes, walks, reduced);
  const length = cut.sizes.reduce((n, size, axis) => (reduced?.[axis] ? n * size : n), 1);

  // ——— Tiles and units ———
  let [block, chunk, tileRows, tileColumns] = [4 * tile, 1, 1, tile];
  if (mode === "rows") {
    tileColumns = Math.floor(tile / length) * length;
    block = 4 * tileColumns;
  } else if (mode === "columns") {
    block = tileColumns = Math.min(inner, tile);
    tileRows = inner <= tile ? Math.min(Math.floor(tile / inner), rows) : 1;
    chunk = Math.min(512, Math.max(1, Math.floor((32 * tile) / block)));
    chunk = Math.max(tileRows, Math.floor(chunk / tileRows) * tileRows);
  } else if (mode === "total") block = 16 * tile;

  const { sizes, strides } = joined(
    order.map((axis) => cut.sizes[axis]),
    walks.map((walk) => order.map((axis) => walk[axis])),
  );
  if (sizes.length > mostAxes)
    throw new RangeError(`wasm: expected ops on at most ${mostAxes} axes that do not join, got ${sizes.length}`);

  // ——— Registers ———
  const registers = new Map<object, number>();
  const free: number[] = [];
  let count = 0;
  const take = (): number => free.pop() ?? count++;
  const constants = allReads.filter((x) => typeof x.source === "number");
  for (const x of [...constants, ...reads]) registers.set(x, count++);
  for (const node of stored) registers.set(node, count++);
  const lastUse = new Map<Node, number>();
  instructions.forEach(({ of }, at) => {
    for (const x of of) if (isNode(x)) lastUse.set(x, at);
  });
  const kept = new Set<Node>(chain.reductions.map(({ of }) => of));
  const code: Word[] = [];
  instructions.forEach(({ apply, of, to }, at) => {
    if (!registers.has(to)) registers.set(to, take());
    const [a, b = a, c = a] = of.map((x) => registers.get(x) as number);
    code.push(apply, registers.get(to) as number, a, b, c);
    for (const x of new Set(of)) {
      if (isNode(x) && lastUse.get(x) === at && !x.stored && !kept.has(x)) free.push(registers.get(x) as number);
    }
  });

  // ——— Words ———
  const widest = Math.max(
    4,
    ...operands.map((x) => bytesOf[x.dtype]),
    ...chain.nodes.map((x) => bytesOf[x.dtype]),
    ...constants.map((x) => bytesOf[x.dtype]),
  );
  const tileBytes = tile * widest + 64;
  const contiguous = (walk: readonly number[]): boolean => {
    let expected = 1;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      if (walk[axis] !== expected) return false;
      expected *= sizes[axis];
    }
    return true;
  };
  const pad = <T>(list: readonly T[], zero: T): T[] => [...list, ...new Array<T>(mostAxes - list.length).fill(zero)];
  const operand = (register: number, view: View, walk: readonly number[], direct: number): Word[] => {
    const bytes = bytesOf[view.dtype];
    const address = { buffer: view.source as Buffer, offset: view.offset * bytes };
    return [
      register,
      address,
      bytes,
      contiguous(walk) && bytes > 1 ? direct : 1,
      ...pad(
        walk.map((s) => s * bytes),
        0,
      ),
    ];
  };
  const held = new Set(reads.map(({ source }) => storageOf(source as Buffer)));
  const written = operands.slice(reads.length).map(({ source }) => source as Buffer);
  const exact = mode === "map" || (inner % 4 === 0 && tileColumns % 4 === 0);
  const partial = mode === "columns" ? Math.ceil(rows / chunk) : mode === "total" ? Math.ceil(inner / block) : 1;
  const combines: Step[] = [];
  const reductions = chain.reductions.flatMap(({ of, op, out }): Word[] => {
    const what = kinds[of.dtype] + (op === "max" ? 1 : 0);
    const target = { buffer: out.source as Buffer, offset: out.offset * bytesOf[out.dtype] };
    const results = outer * (mode === "columns" ? inner : 1);
    const apart = (count: number): Place => ({ buffer: buffer(count * bytesOf[of.dtype]), offset: 0 });
    const whole = folded === 1 && repeated === 1 ? target : apart(results);
    const to = partial === 1 ? whole : apart(results * partial);
    written.push(to.buffer);
    const combine = (from: Place, into: Place, ...sizes: [outer: number, parts: number, inner: number]): void => {
      combines.push({ kernel: "combine", words: [from, into, ...sizes, what], label: `${label} (parts)` });
    };
    if (partial > 1) combine(to, whole, outer, partial, mode === "columns" ? inner : 1);
    if (folded > 1) combine(whole, target, inner / folded, folded, 1);
    if (repeated > 1) combine(whole, target, 1, repeated, outer / repeated);
    return [registers.get(of) as number, mode === "rows" ? 0 : mode === "columns" ? 1 : 2, to, what, length];
  });
  const words: Word[] = [
    outer,
    rows,
    inner,
    block,
    chunk,
    tileRows,
    tileColumns,
    count,
    tileBytes,
    sizes.length,
    ...pad(sizes, 1),
    constants.length,
    reads.length,
    code.length / 5,
    stored.length,
    chain.reductions.length,
    ...constants.flatMap((x) => [registers.get(x) as number, bytesOf[x.dtype] === 8 ? 8 : 4, ...constantWords(x)]),
    ...reads.flatMap((x, i) => operand(registers.get(x) as number, x, strides[i], 0)),
    ...code,
    ...stored.flatMap((node, i) =>
      operand(
        registers.get(node) as number,
        node.stored as View,
        strides[reads.length + i],
        exact && fillsBuffer(node.stored as View) && !held.has(storageOf(written[i])) ? 2 : 0,
      ),
    ),
    ...reductions,
  ];
  const scratch = Math.ceil((count * 4) / 64) * 64 + (count + chain.reductions.length) * tileBytes + 64;
  return [
    {
      kernel: "chain",
      words,
      label,
      scratch,
      flop: chain.size * (instructions.length + chain.reductions.length),
      writes: written,
    },
    ...combines,
  ];
}

/** Whether nothing of others lies in the same buffer: what the kernel writes beyond the end of the last tile then harms nobody. */
function fillsBuffer({ source, offset, shape, dtype }: View): boolean {
  return offset === 0 && (source as Buffer).bytes === sizeOf(shape) * bytesOf[dtype];
}

function constantWords({ source, dtype }: View): readonly [number, number] {
  const value = source as number;
  if (dtype === "float64") return double(value);
  return [dtype === "float32" ? float(value) : value | 0, 0];
}
