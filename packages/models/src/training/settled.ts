/** A routine that yields what may be a promise, and is given what it holds. */
export type Routine<Result> = Generator<unknown, Result, unknown>;

/** Run a routine: at once where it yields no promise, else a promise of its result. One loop so serves both kinds of engines. */
export function settled<Result>(routine: Routine<Result>): Result | Promise<Result> {
  let next = routine.next();
  while (!next.done) {
    if (next.value instanceof Promise) return later(routine, next.value);
    next = routine.next(next.value);
  }
  return next.value;
}

async function later<Result>(routine: Routine<Result>, first: Promise<unknown>): Promise<Result> {
  let next = routine.next(await first);
  while (!next.done) next = routine.next(await next.value);
  return next.value;
}

/** Yield a value, or a promise of it, and go on with the value: `const x = yield* needed(found)`. */
export function* needed<Value>(value: Value | Promise<Value>): Routine<Value> {
  return (yield value) as Value;
}
