/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * Say where two configurations differ, a line each, as in `optimizer.peak: 0.001, now 0.01`. What is undefined is not there.
 */
export function differences(before: Json, now: Json): string[] {
  const [old, young] = [places(before), places(now)];
  const all = [...new Set([...old.keys(), ...young.keys()])];
  return all
    .filter((place) => old.get(place) !== young.get(place))
    .map((place) => `${place}: ${old.get(place) ?? "absent"}, now ${young.get(place) ?? "absent"}`);
}

function places(json: Json): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (x: Json | undefined, way: string): void => {
    if (x === undefined) return;
    const items = typeof x === "object" && x !== null ? Object.entries(x) : [];
    if (items.length === 0) found.set(way, JSON.stringify(x));
    for (const [key, item] of items) visit(item as Json, way === "" ? key : `${way}.${key}`);
  };
  visit(json, "");
  return found;
}
