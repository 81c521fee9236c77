/** Say a line on stderr at each tenth of the way: what takes seconds, or minutes, is seen to go on. */
export function sayTenths(line: (percent: number, size: number) => string): (done: number, size: number) => void {
  let tenths = 0;
  return (done, size) => {
    const reached = Math.floor((10 * done) / Math.max(size, 1));
    if (reached === tenths) return;
    tenths = reached;
    process.stderr.write(`${line(10 * reached, size)}\n`);
  };
}
