/**
 * Check that an option is a share of something.
 *
 * @param before - what else it may be, as in `"test" or `
 * @throws RangeError when it is no number in 0 … 1, without 1
 */
export function checkShare(task: string, option: string, value: number, before = ""): void {
  if (typeof value === "number" && value >= 0 && value < 1) return;
  throw new RangeError(`${task}: expected ${option} to be ${before}a share in 0 … 1, without 1, got ${value}`);
}
