import { nearestName } from "../known-name.ts";

/** What an option may be: an integer from `min` to `max`. */
export interface IntegerOption {
  readonly default: number;
  readonly min: number;
  readonly max?: number;
  /** why the bounds are what they are; ends the error message */
  readonly because?: string;
}

/** Every task draws from a seed of 32 bits. */
export const seedOption: IntegerOption = { default: 0, min: 0, max: 2 ** 32 - 1 };

/**
 * Fill in the options of a task and check them.
 *
 * @param task - whose options they are, for messages
 * @param given - what the caller passed; undefined takes the default
 * @param known - each option with its default and bounds
 * @throws TypeError when an option is unknown / RangeError when one is no integer within its bounds
 */
export function integerOptions<Name extends string>(
  task: string,
  given: Readonly<Partial<Record<NoInfer<Name>, number | undefined>>>,
  known: Readonly<Record<Name, IntegerOption>>,
): Record<Name, number> {
  const names = Object.keys(known) as Name[];
  for (const name of Object.keys(given)) {
    if (name in known) continue;
    throw new TypeError(
      `${task}: expected options ${names.join(", ")}, got ${name}; did you mean ${nearestName(name, names)}`,
    );
  }
  const read = (name: Name): number => {
    const { default: fallback, min, max = Infinity, because } = known[name];
    const value = given[name] ?? fallback;
    if (!Number.isInteger(value) || value < min || value > max) {
      const bounds = max === Infinity ? `≥ ${min}` : `in ${min} … ${max}`;
      const kind = Number.isInteger(value) ? "" : "to be an integer ";
      throw new RangeError(`${task}: expected ${name} ${kind}${bounds}, got ${value}${because ? `; ${because}` : ""}`);
    }
    return value;
  };
  return Object.fromEntries(names.map((name) => [name, read(name)])) as Record<Name, number>;
}
