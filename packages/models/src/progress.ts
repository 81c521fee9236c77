import picocolors from "picocolors";

/** What a progress line shows besides the share done. */
export interface ProgressValues {
  /** in nats */
  readonly loss: number;
  /** 0 … 1; not shown unless told */
  readonly accuracy?: number | undefined;
  /** What else there is to say, in a few words */
  readonly note?: string | undefined;
}

export interface Progress {
  /**
   * Show how far training is.
   * @param done - steps finished, 1 … steps
   */
  step(done: number, values: ProgressValues): void;
}

/** Where lines go: process.stderr, or anything like it. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** steps in all */
  readonly steps: number;
  /** tokens that the model reads in one step, for tokens/s */
  readonly tokensPerStep: number;
  /** steps made before, which took no time of this run; 0 unless told */
  readonly made?: number;
  /** process.stderr unless told */
  readonly stream?: ProgressStream;
  /** milliseconds; performance.now unless told */
  readonly clock?: () => number;
}

const widest = 24;
const redrawEvery = 80;
const logEvery = 60_000;

/**
 * Show the progress of a training run: one line, redrawn, on a terminal; elsewhere a plain line every tenth of the
 * way, and every minute where a tenth takes longer.
 *
 *     fmm     ━━━━━━━━━━━━━━──────────  58 %  loss 0.412  accuracy 87.4 %  0:48 left  31.2k tokens/s
 *
 * The line ends with a newline and is redrawn from the line below it, so the cursor is always visible and at the start
 * of a fresh line: an exception, an exit or Ctrl-C finds nothing to restore, and whatever is printed next stands by
 * itself.
 *
 * @param label - what is trained
 */
export function progress(
  label: string,
  { steps, tokensPerStep, made = 0, stream = process.stderr, clock }: ProgressOptions,
): Progress {
  const now = clock ?? (() => performance.now());
  const { bold, cyan, dim } = picocolors.createColors(stream.isTTY === true && picocolors.isColorSupported);
  const began = now();
  let shown = false;
  let shownAt = stream.isTTY ? -Infinity : began;
  let tenths = Math.floor((10 * made) / steps);

  /** The line's parts in order of importance: those that do not fit the terminal are left out from the end. */
  function parts(done: number, { loss, accuracy, note }: ProgressValues): string[] {
    const seconds = (now() - began) / 1000;
    const own = done - made;
    const ends = done < steps ? `${minutes((seconds / own) * (steps - done))} left` : `in ${minutes(seconds)}`;
    return [
      `${Math.floor((100 * done) / steps)}`.padStart(3) + " %",
      `loss ${loss.toFixed(3)}`,
      ...(accuracy === undefined ? [] : [`accuracy ${(100 * accuracy).toFixed(1)} %`]),
      ends,
      ...(note ? [note] : []),
      `${thousands((own * tokensPerStep) / seconds)} tokens/s`,
    ];
  }

  function redraw(done: number, values: ProgressValues): void {
    if (done < steps && now() - shownAt < redrawEvery) return;
    shownAt = now();
    const name = label.padEnd(8);
    const columns = stream.columns || 80;
    const width = Math.max(0, Math.min(widest, columns - name.length - 7));
    const filled = Math.round((width * done) / steps);
    let room = columns - name.length - width;
    const fitting = parts(done, values).filter((part) => {
      room -= part.length + 2;
      return room >= 0;
    });
    const bar = cyan("━".repeat(filled)) + dim("─".repeat(width - filled));
    stream.write(`${shown ? "\x1b[1A\r\x1b[2K" : ""}${bold(name)}${bar} ${fitting.join("  ")}\n`);
    shown = true;
  }

  function log(done: number, values: ProgressValues): void {
    const reached = Math.floor((10 * done) / steps);
    if (reached === tenths && now() - shownAt < logEvery) return;
    tenths = reached;
    shownAt = now();
    stream.write(`${label}: ${[`step ${done} of ${steps}`, ...parts(done, values).slice(1)].join(", ")}\n`);
  }

  return { step: stream.isTTY ? redraw : log };
}

/** `1:05`, or `2:03:20` from an hour on. */
function minutes(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `640`, `31.2k`, `4.05M`. */
function thousands(count: number): string {
  return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 })
    .format(count)
    .replace("K", "k");
}
