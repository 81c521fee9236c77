// What page.test.ts calls.

export function twice(numbers: readonly number[]): number[] {
  return [...numbers, ...numbers];
}

export async function refuse(answer: string): Promise<never> {
  throw new RangeError(`entry: expected yes, got ${answer}`);
}

export function host(): { readonly isolated: boolean; readonly worker: boolean } {
  return { isolated: crossOriginIsolated, worker: !("document" in globalThis) };
}
