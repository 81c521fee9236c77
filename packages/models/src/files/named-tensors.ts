import { flatten, isTensor, ShapeError, showShape, type Tensor, tensor, unflatten } from "@fmmformer/autodiff";
import { SafetensorsError } from "../safetensors.ts";

/** Tensors by name, as files hold them. */
export interface NamedTensors {
  readonly [name: string]: Tensor;
}

/**
 * Name the leaves of a tree by their way from the root, as in `encoder.blocks.0.attention.query.weight`. Numbers become float64 scalars.
 *
 * @param prefix - goes before each name; none unless told
 * @throws TypeError when two leaves would have the same name
 */
export function namedTensors(tree: unknown, prefix = ""): NamedTensors {
  const named = new Map<string, Tensor>();
  const { leaves } = flatten(tree);
  for (const [i, name] of leafNames(tree, prefix).entries()) {
    if (named.has(name)) throw new TypeError(`namedTensors: expected one leaf of each name, got two of ${name}`);
    const leaf = leaves[i];
    named.set(name, typeof leaf === "number" ? tensor(Float64Array.of(leaf), { shape: [] }) : leaf);
  }
  return Object.fromEntries(named);
}

/** What a file had, and had not, for a tree. */
export interface Filled<Tree> {
  readonly tree: Tree;
  /** Names in the tree that the file has not, in a shape and dtype that fit */
  readonly missing: readonly string[];
  /** Names in the file that the tree has not */
  readonly unused: readonly string[];
}

/**
 * Fill a tree with tensors by name.
 *
 * @param like - a tree of the form, shapes and dtypes that are wanted
 * @throws SafetensorsError when a tensor is missing or is one too many / ShapeError when a shape or dtype differs
 */
export function fromNamedTensors<Tree>(like: Tree, named: NamedTensors, prefix = ""): Tree {
  const wanted = namedTensors(like, prefix);
  for (const [name, { shape, dtype }] of Object.entries(wanted)) {
    const found = Object.hasOwn(named, name) ? named[name] : undefined;
    if (found && !fits(found, wanted[name])) {
      throw new ShapeError(
        `fromNamedTensors: expected ${name} to be ${dtype} ${showShape(shape)}, got ${found.dtype} ${showShape(found.shape)}`,
      );
    }
  }
  const { tree, missing, unused } = fillNamedTensors(like, named, prefix);
  if (missing.length > 0) throw new SafetensorsError(`fromNamedTensors: expected a tensor ${missing[0]}, got none`);
  if (unused.length > 0) throw new SafetensorsError(`fromNamedTensors: expected no tensor ${unused[0]}, got one`);
  return tree;
}

/** Fill what fits of a tree with tensors by name, and leave the rest as it is. Names without the prefix count for nothing. */
export function fillNamedTensors<Tree>(like: Tree, named: NamedTensors, prefix = ""): Filled<Tree> {
  const { leaves, structure } = flatten(like);
  const names = leafNames(like, prefix);
  const missing: string[] = [];
  const filled = names.map((name, i) => {
    const [leaf, found] = [leaves[i], Object.hasOwn(named, name) ? named[name] : undefined];
    if (found && typeof leaf === "number" && found.size === 1) return found.item();
    if (found && typeof leaf !== "number" && fits(found, leaf)) return found;
    missing.push(name);
    return leaf;
  });
  const known = new Set(names);
  const unused = Object.keys(named).filter((name) => name.startsWith(prefix) && !known.has(name));
  return { tree: unflatten(structure, filled) as Tree, missing, unused };
}

function fits(found: Tensor, { shape, dtype }: Tensor): boolean {
  return found.dtype === dtype && found.shape.join() === shape.join();
}

/** In the order of `flatten`. */
function leafNames(tree: unknown, prefix: string): string[] {
  const names: string[] = [];
  const visit = (x: unknown, way: string): void => {
    if (typeof x === "number" || isTensor(x)) names.push(way);
    else if (Array.isArray(x)) for (const [i, item] of x.entries()) visit(item, join(way, String(i)));
    else if (typeof x === "object" && x !== null) {
      for (const key of Object.keys(x).sort()) visit((x as Record<string, unknown>)[key], join(way, key));
    }
  };
  const join = (way: string, key: string): string => (way === "" ? key : `${way}.${key}`);
  visit(tree, prefix);
  return names;
}
