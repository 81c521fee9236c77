// How long calls take: see README.md.

/** Run twice to warm up, then at least five times and for at least a second. */
export function measure(run) {
  run();
  run();
  const [times, cpu] = [[], process.cpuUsage()];
  for (const began = performance.now(); times.length < 5 || performance.now() - began < 1000; ) {
    const before = performance.now();
    run();
    times.push(performance.now() - before);
  }
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  return { medianMs: times[times.length >> 1], minMs: times[0], cpuMs: (user + system) / 1000 / times.length };
}
