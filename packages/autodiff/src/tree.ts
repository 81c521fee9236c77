import { describe, isTensor, type Scalar, type Tensor } from "./tensor.ts";

// Trees: nested arrays and objects of values. Tensors and numbers are leaves; everything else that is not a container
// (strings, booleans, null, undefined, functions) is structure.

/** What may be passed to a transformed function. */
export type Args = readonly unknown[];

type Static = string | boolean | bigint | symbol | null | undefined;

/** The type of a gradient with respect to a value of type A: tensors and numbers give tensors, containers keep their form. */
export type Cotangent<A> = A extends Tensor | number
  ? Tensor
  : A extends Static
    ? A
    : A extends (...args: never) => unknown
      ? never
      : { [K in keyof A]: Cotangent<A[K]> };

/** The form of a tree, its leaves taken out. */
export type Structure =
  | { readonly kind: "leaf"; readonly number: boolean }
  | { readonly kind: "static"; readonly value: unknown }
  | { readonly kind: "array"; readonly items: readonly Structure[] }
  | {
      readonly kind: "object";
      readonly keys: readonly string[];
      readonly items: readonly Structure[];
      readonly prototype: object | null;
    };

/** Take a tree apart: its leaves in order, keys visited sorted, and its form. */
export function flatten(
  tree: unknown,
  isLeaf: (x: unknown) => boolean = isValue,
): { readonly leaves: Scalar[]; readonly structure: Structure } {
  const leaves: Scalar[] = [];
  const visit = (x: unknown): Structure => {
    if (isLeaf(x)) {
      leaves.push(x as Scalar);
      return { kind: "leaf", number: typeof x === "number" };
    }
    if (Array.isArray(x)) return { kind: "array", items: x.map(visit) };
    if (typeof x !== "object" || x === null || isTensor(x)) return { kind: "static", value: x };
    refuse(x);
    const keys = Object.keys(x).sort();
    return {
      kind: "object",
      keys,
      items: keys.map((key) => visit((x as Record<string, unknown>)[key])),
      prototype: Object.getPrototypeOf(x),
    };
  };
  return { structure: visit(tree), leaves };
}

function isValue(x: unknown): boolean {
  return typeof x === "number" || isTensor(x);
}

function refuse(x: object): void {
  if (typeof (x as { then?: unknown }).then === "function") {
    throw new TypeError("tree: expected values, got a promise; transformed functions must be synchronous");
  }
  if (ArrayBuffer.isView(x)) throw new TypeError(`tree: expected a tensor, got ${describe(x)}; wrap it with tensor(…)`);
  if (x instanceof Map || x instanceof Set)
    throw new TypeError(`tree: expected arrays and objects, got ${describe(x)}`);
}

/** Put leaves back into a form. */
export function unflatten(structure: Structure, leaves: readonly unknown[]): unknown {
  let at = 0;
  const build = (s: Structure): unknown => {
    switch (s.kind) {
      case "leaf":
        return leaves[at++];
      case "static":
        return s.value;
      case "array":
        return s.items.map(build);
      case "object": {
        const x = Object.create(s.prototype) as Record<string, unknown>;
        s.keys.forEach((key, i) => {
          x[key] = build(s.items[i]);
        });
        return x;
      }
    }
  };
  return build(structure);
}

const identities = new WeakMap<WeakKey, number>();
let identified = 0;

/** A text that is equal for equal forms; functions and symbols count by identity. */
export function structureKey(structure: Structure): string {
  switch (structure.kind) {
    case "leaf":
      return structure.number ? "#" : "*";
    case "static":
      return staticKey(structure.value);
    case "array":
      return `[${structure.items.map(structureKey).join()}]`;
    case "object": {
      const { keys, items, prototype } = structure;
      const kind = prototype === Object.prototype ? "" : staticKey(prototype);
      return `${kind}{${keys.map((key, i) => `${JSON.stringify(key)}:${structureKey(items[i])}`).join()}}`;
    }
  }
}

function staticKey(x: unknown): string {
  if (typeof x === "string") return JSON.stringify(x);
  if (!hasIdentity(x)) return typeof x === "symbol" ? `Symbol.for(${JSON.stringify(Symbol.keyFor(x))})` : String(x);
  if (!identities.has(x)) identities.set(x, ++identified);
  return `@${identities.get(x)}`;
}

/** Whether a value is told from others by being itself; a registered symbol is told by its name. */
function hasIdentity(x: unknown): x is WeakKey {
  if (typeof x === "symbol") return Symbol.keyFor(x) === undefined;
  return typeof x === "function" || (typeof x === "object" && x !== null);
}

/**
 * Apply a function to the leaves of trees of one form, leaf by leaf.
 *
 * @throws TypeError when the trees differ in form
 */
export function treeMap<T>(
  f: (leaf: Scalar, ...others: Scalar[]) => Scalar,
  tree: T,
  ...others: readonly unknown[]
): T {
  const first = flatten(tree);
  const rest = others.map((other) =>
    matching("treeMap", first.structure, other).map((leaf) => {
      if (leaf !== null) return leaf;
      throw new TypeError("treeMap: expected a tensor or a number for each one in the first tree, got null");
    }),
  );
  return unflatten(
    first.structure,
    first.leaves.map((leaf, i) => f(leaf, ...rest.map((leaves) => leaves[i]))),
  ) as T;
}

/**
 * What a tree has where a form has leaves: tensors or numbers, and null where it has nothing (an integer has no cotangent).
 *
 * @throws TypeError when the tree has another form
 */
export function matching(op: string, structure: Structure, tree: unknown): (Scalar | null)[] {
  const visit = (s: Structure, x: unknown): (Scalar | null)[] => {
    if (!fits(s, x)) {
      const form = (of: Structure): string => structureKey(of).replaceAll("#", "*");
      throw new TypeError(
        `${op}: expected a tree of the form ${form(structure)}, got ${form(flatten(tree).structure)}`,
      );
    }
    if (s.kind === "static") return [];
    if (s.kind === "leaf") return [(x ?? null) as Scalar | null];
    return s.items.flatMap((item, i) =>
      visit(item, (x as Record<string | number, unknown> | null | undefined)?.[s.kind === "array" ? i : s.keys[i]]),
    );
  };
  return visit(structure, tree);
}

function fits(s: Structure, x: unknown): boolean {
  if (x === null || x === undefined) return true;
  if (s.kind === "static") return staticKey(s.value) === staticKey(x);
  if (s.kind === "leaf") return isValue(x);
  if (typeof x !== "object" || isTensor(x)) return false;
  if (s.kind === "array") return Array.isArray(x) && x.length === s.items.length;
  return !Array.isArray(x) && Object.keys(x).sort().join() === s.keys.join();
}
