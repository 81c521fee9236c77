import type { Matrix } from "../report/heat-map.ts";
import { hues, plotSvg } from "./plot.ts";
import { singularValues } from "./singular-values.ts";

/** How many dimensions an attention map has left when its band is taken away. */
export interface RankStudy {
  /** n, of the (n, n) maps */
  readonly length: number;
  /** How many maps were looked at */
  readonly maps: number;
  /** A singular value counts when it is larger */
  readonly threshold: number;
  readonly bands: readonly BandRanks[];
}

/** Without |i − j| < bandwidth; 0 takes nothing away. */
export interface BandRanks {
  readonly bandwidth: number;
  /** One for each map */
  readonly ranks: readonly number[];
  /** Likewise, how many singular values, the largest first, hold 95 % of the sum of their squares */
  readonly leading: readonly number[];
  /** The mean over maps of the singular values, the largest first */
  readonly spectrum: readonly number[];
}

export interface RankOptions {
  /** [0, 5, 10, 20] unless told */
  readonly bandwidths?: readonly number[];
  /** 1e-6 unless told */
  readonly threshold?: number;
  /** Called behind each map with how many are done */
  readonly onMap?: (done: number) => void;
}

/**
 * Count the singular values of attention maps, whole and without bands: what is left is what a low rank must do. A causal map of n tokens
 * without a band of k has rank n − k at most.
 *
 * @param maps - (n, n) each, all of one size
 * @throws RangeError when there are none, or they differ in size
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, the figure of ranks, https://arxiv.org/abs/2108.02347
 */
export function rankStudy(maps: readonly Matrix[], options: RankOptions = {}): RankStudy {
  const { bandwidths = [0, 5, 10, 20], threshold = 1e-6, onMap } = options;
  const length = maps[0]?.rows ?? 0;
  if (length === 0 || maps.some(({ rows, columns }) => rows !== length || columns !== length)) {
    throw new RangeError("rankStudy: expected one or more square maps of one size, got others");
  }
  const spectraOfMaps = maps.map((map, i) => {
    const spectra = bandwidths.map((bandwidth) => singularValues(withoutBand(map, bandwidth)));
    onMap?.(i + 1);
    return spectra;
  });
  const bands = bandwidths.map((bandwidth, b): BandRanks => {
    const spectra = spectraOfMaps.map((ofMap) => ofMap[b]);
    return {
      bandwidth,
      ranks: spectra.map((values) => values.filter((value) => value > threshold).length),
      leading: spectra.map(leadingOf),
      spectrum: Array.from({ length }, (_, i) => spectra.reduce((sum, values) => sum + values[i], 0) / maps.length),
    };
  });
  return { length, maps: maps.length, threshold, bands };
}

function leadingOf(values: ArrayLike<number>): number {
  const squares = Array.from(values, (value) => value * value);
  let left = 0.95 * squares.reduce((sum, square) => sum + square, 0);
  return squares.filter((square) => {
    const needed = left > 0;
    left -= square;
    return needed;
  }).length;
}

function withoutBand({ rows, columns, data }: Matrix, bandwidth: number): Matrix {
  const far = (at: number): boolean => Math.abs(Math.floor(at / columns) - (at % columns)) >= bandwidth;
  return { rows, columns, data: Float64Array.from(data, (value, at) => (far(at) ? value : 0)) };
}

/** Draw how many maps have which rank, or need how many leading singular values, a band after the other, as SVG. */
export function rankFigure(study: RankStudy, measure: "ranks" | "leading" = "ranks"): Promise<string> {
  const { length, maps, threshold, bands } = study;
  const counted = measure === "ranks" ? `above ${threshold}` : "that hold 95 % of the squares";
  return plotSvg((Plot) => {
    const label = (bandwidth: number): string => (bandwidth === 0 ? "whole" : `without band ${bandwidth}`);
    const points = bands.flatMap((band) => band[measure].map((count) => ({ band: label(band.bandwidth), count })));
    return {
      title: `Singular values ${counted} of ${maps} attention maps of ${length} tokens, whole and without bands`,
      x: { label: `singular values ${counted}, of ${length}`, domain: [0, length] },
      y: { label: "maps", grid: true },
      color: { legend: false, domain: bands.map(({ bandwidth }) => label(bandwidth)), range: [...hues] },
      fy: { label: null, domain: bands.map(({ bandwidth }) => label(bandwidth)) },
      height: 120 * bands.length + 60,
      marginRight: 120,
      marks: [
        Plot.rectY(
          points,
          Plot.binX({ y: "count" }, { x: "count", fy: "band", fill: "band", thresholds: 32 } as never),
        ),
        Plot.ruleY([0]),
      ],
    };
  });
}
