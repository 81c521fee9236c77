import { grad, jit, random, sum, type Tensor } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import type { AttentionOptions } from "../attention/kinds.ts";
import { multiHeadAttention } from "../attention/multi-head-attention.ts";
import { hues, plotSvg } from "./plot.ts";

/** What one attention took on sequences of one length. */
export interface EfficiencyPoint {
  readonly attention: string;
  /** n */
  readonly length: number;
  readonly pass: "forward" | "forward and backward";
  /** The median of several runs */
  readonly milliseconds: number;
  /** All values of a run at once */
  readonly bytes: number;
}

export interface EfficiencyStudy {
  readonly width: number;
  readonly heads: number;
  readonly threads: number;
  readonly points: readonly EfficiencyPoint[];
  /** For each attention and pass how time grows with length: the exponent of n, over the longer half of the lengths; not of one length */
  readonly slopes: readonly { readonly attention: string; readonly pass: string; readonly slope: number }[];
}

export interface EfficiencyOptions {
  /** By name; softmax, linear, a band of 30, and both fields of three kernels with that band unless told */
  readonly attentions?: Readonly<Record<string, AttentionOptions>>;
  /** 2⁹ … 2¹⁶ unless told */
  readonly lengths?: readonly number[];
  /** An attention stops where its next length would take longer, by the square of the length; 20 s unless told */
  readonly seconds?: number;
  /** 1 unless told */
  readonly threads?: number;
  readonly onPoint?: (point: EfficiencyPoint) => void;
}

const width = 64;
const heads = 2;

const usual: Readonly<Record<string, AttentionOptions>> = {
  softmax: { kind: "softmax" },
  linear: { kind: "linear" },
  band30: { kind: "band", bandwidth: 30 },
  "fmm-3-kernel-band30": { kind: "fmm", bandwidth: 30, kernels: ["elu", "eluFlip", "tanh"] },
};

/**
 * Measure one layer of attention (2 heads of 32, batch 1, float32, with its four linear maps) against the length of its sequence.
 *
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, the figure of efficiency, https://arxiv.org/abs/2108.02347
 */
export function efficiencyStudy(options: EfficiencyOptions = {}): EfficiencyStudy {
  const { attentions = usual, seconds = 20, threads = 1, onPoint } = options;
  const lengths = options.lengths ?? Array.from({ length: 8 }, (_, i) => 2 ** (9 + i));
  const engine = wasm({ threads });
  const points: EfficiencyPoint[] = [];
  for (const [name, attention] of Object.entries(attentions)) {
    const layer = multiHeadAttention({ width, heads, attention });
    const params = layer.init(random.key(0));
    const total = (p: typeof params, x: Tensor): Tensor => sum(layer.apply(p, x));
    const passes = {
      forward: jit<[typeof params, Tensor], unknown>(total, { engine }),
      "forward and backward": jit<[typeof params, Tensor], unknown>(grad(total, { argnums: [0, 1] }), { engine }),
    };
    for (const [pass, run] of Object.entries(passes)) {
      let last = { length: 1, milliseconds: 0 };
      for (const length of lengths) {
        if (last.milliseconds * (length / last.length) ** 2 > 1000 * seconds) break;
        const x = random.normal(random.key(length), [1, length, width]);
        last = { length, milliseconds: median(() => run(params, x)) };
        const bytes = run.stats()?.peakBytes ?? 0;
        const point = { attention: name, pass: pass as EfficiencyPoint["pass"], ...last, bytes };
        points.push(point);
        onPoint?.(point);
      }
    }
  }
  return { width, heads, threads, points, slopes: slopesOf(points) };
}

/** The median of as many runs as fit into a third of a second, three at least; the first, which compiles, not counted. */
function median(run: () => unknown): number {
  run();
  const times: number[] = [];
  const began = performance.now();
  while (times.length < 3 || (performance.now() - began < 300 && times.length < 25)) {
    const start = performance.now();
    run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

function slopesOf(points: readonly EfficiencyPoint[]): EfficiencyStudy["slopes"] {
  const groups = new Map<string, EfficiencyPoint[]>();
  for (const point of points) {
    const key = `${point.attention}\n${point.pass}`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  const slopes = [...groups.values()].map((group) => {
    const longer = group.slice(Math.floor(group.length / 2) - (group.length % 2 === 0 ? 1 : 0));
    const [xs, ys] = [longer.map(({ length }) => Math.log(length)), longer.map((p) => Math.log(p.milliseconds))];
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const [mx, my] = [mean(xs), mean(ys)];
    const slope = mean(xs.map((x, i) => (x - mx) * (ys[i] - my))) / mean(xs.map((x) => (x - mx) ** 2));
    return { attention: group[0].attention, pass: group[0].pass, slope };
  });
  return slopes.filter(({ slope }) => Number.isFinite(slope));
}

/** Draw time, or memory, against length on logarithmic axes, as SVG. */
export function efficiencyFigure(
  { points, threads }: EfficiencyStudy,
  what: "time" | "memory",
  pass: EfficiencyPoint["pass"] = "forward and backward",
): Promise<string> {
  const shown = points.filter((point) => point.pass === pass);
  const names = [...new Set(shown.map(({ attention }) => attention))];
  const value = (p: EfficiencyPoint): number => (what === "time" ? p.milliseconds : p.bytes / 2 ** 20);
  return plotSvg((Plot) => ({
    title: `${what} of one layer of attention against the length of its sequence, ${pass}`,
    marginRight: 150,
    x: { type: "log", base: 2, label: "tokens", tickFormat: (n: number) => n.toLocaleString("en") },
    y: {
      type: "log",
      label: what === "time" ? `ms, ${pass}, ${threads === 1 ? "one thread" : `${threads} threads`}` : `MiB, ${pass}`,
      grid: true,
    },
    color: { domain: names, range: [...hues] },
    marks: [
      Plot.line(shown, { x: "length", y: value, stroke: "attention", strokeWidth: 2 } as never),
      Plot.dot(shown, { x: "length", y: value, fill: "attention" } as never),
      Plot.text(
        shown,
        Plot.selectLast({
          x: "length",
          y: value,
          z: "attention",
          text: "attention",
          fill: "attention",
          dx: 8,
          textAnchor: "start",
        } as never),
      ),
    ],
  }));
}
