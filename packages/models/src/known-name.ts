/**
 * Check that a name is one of those known.
 *
 * @param op - whose option it is, for the message
 * @param what - what the name stands for, as in `attention`
 * @throws TypeError with the nearest known name
 */
export function checkName<Name extends string>(op: string, what: string, given: string, known: readonly Name[]): Name {
  const found = known.find((name) => name === given);
  if (found !== undefined) return found;
  throw new TypeError(
    `${op}: expected ${what} ${listed(known)}, got ${JSON.stringify(given)}; did you mean ${nearestName(given, known)}`,
  );
}

/** A few names; of many, the first ones. */
function listed(names: readonly string[]): string {
  const most = 8;
  if (names.length > most) return `${names.slice(0, most).join(", ")} or another of ${names.length}`;
  return names.join(", ").replace(/, ([^,]*)$/, " or $1");
}

/**
 * Check that an object has no option but those known.
 *
 * @throws TypeError with the nearest known name
 */
export function checkOptions(op: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) checkName(op, "options", name, known);
}

/** The known name that takes the fewest edits to get to. */
export function nearestName(name: string, known: readonly string[]): string {
  const edits = known.map((other) => editDistance(name, other));
  return known[edits.indexOf(Math.min(...edits))];
}

/** Letters to insert, drop or replace to turn one word into another (Levenshtein 1966). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (letter === to[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length];
}
