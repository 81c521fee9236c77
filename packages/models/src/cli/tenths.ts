/**
 * Say how far something is, so that what takes seconds, or minutes, is seen to go on: at each tenth of the way a line on stderr; on a terminal
 * at each percent the same line, which is gone at the end.
 *
 * @param after - seconds in which nothing is said; 0 unless told
 */
export function sayTenths(
  line: (percent: number, size: number) => string,
  after = 0,
): (done: number, size: number) => void {
  const { stderr } = process;
  const began = performance.now();
  const parts = stderr.isTTY ? 100 : 10;
  let said = 0;
  return (done, size) => {
    const reached = Math.floor((parts * done) / Math.max(size, 1));
    if (reached === said || performance.now() - began < 1000 * after) return;
    const before = stderr.isTTY && said > 0 ? "\x1b[1A\r\x1b[2K" : "";
    const now = stderr.isTTY && reached === parts ? "" : `${line((100 / parts) * reached, size)}\n`;
    stderr.write(before + now);
    said = reached;
  };
}
