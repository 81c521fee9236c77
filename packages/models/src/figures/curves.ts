import type { Curve } from "../report/learning-curves.ts";
import { hues, plotSvg } from "./plot.ts";

interface Point {
  readonly model: string;
  readonly step: number;
  readonly value: number;
}

/**
 * Draw the learning curves of several runs, as SVG: thin what each batch of training said, averaged over neighbours, thick the validation
 * split. Runs of one model, as with several seeds, are drawn as their mean.
 *
 * @throws RangeError when there are no curves, or of more than one task, or of more models than can be told apart
 */
export function curvesFigure(curves: readonly Curve[], measure: "loss" | "accuracy"): Promise<string> {
  const models = [...new Set(curves.map(({ model }) => model))];
  if (models.length === 0 || models.length > hues.length) {
    throw new RangeError(`curvesFigure: expected curves of 1 to ${hues.length} models, got ${models.length}`);
  }
  const tasks = [...new Set(curves.map(({ task }) => task))];
  if (tasks.length > 1) {
    throw new RangeError(`curvesFigure: expected curves of one task, got ${tasks.join("; ")}; draw a figure of each`);
  }
  const training = curves.flatMap((curve) => pointsOf(curve.model, curve.steps, curve[measure] ?? []));
  const validation = curves.flatMap(({ model, validation: seen }) =>
    seen ? pointsOf(model, seen.steps, seen[measure]) : [],
  );
  const share = measure === "accuracy";
  return plotSvg((Plot) => {
    const line = { x: "step", y: "value", stroke: "model" };
    const thin = models.flatMap((model) => smoothed(meanOf(training.filter((point) => point.model === model))));
    const thick = validation.length > 0 ? meanOf(validation) : thin;
    return {
      title: `${measure} of ${models.join(", ")} against training steps`,
      marginRight: 160,
      x: { label: "step", labelAnchor: "center", ticks: 6 },
      y: { label: measure, grid: true, ...(share && { tickFormat: (y: number) => `${Math.round(100 * y)} %` }) },
      color: { domain: models, range: [...hues] },
      marks: [
        Plot.lineY(thin, { ...line, strokeWidth: 1, strokeOpacity: 0.45 }),
        Plot.lineY(thick, { ...line, strokeWidth: 2 }),
        ...(validation.length > 0 ? [Plot.dot(thick, { x: "step", y: "value", fill: "model", r: 2.5 })] : []),
        Plot.text(spread(models, thick, [...thin, ...thick]), {
          ...{ x: "step", y: "value", text: "model", fill: "model", dx: 8, textAnchor: "start" },
        }),
      ],
    };
  });
}

function pointsOf(model: string, steps: readonly number[], values: readonly number[]): Point[] {
  return values.map((value, i) => ({ model, step: steps[i], value }));
}

/** The mean of points of one model at one step. */
function meanOf(points: readonly Point[]): Point[] {
  const groups = new Map<string, Point[]>();
  for (const point of points) {
    const key = `${point.model}\n${point.step}`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  const means = [...groups.values()].map((group): Point => ({ ...group[0], value: meanValue(group) }));
  return means.sort((a, b) => a.step - b.step);
}

function meanValue(points: readonly Point[]): number {
  return points.reduce((sum, { value }) => sum + value, 0) / points.length;
}

/** The curve of one model, each point the mean of a fortieth of the curve around it. */
function smoothed(points: readonly Point[]): Point[] {
  const reach = Math.floor(points.length / 80);
  return points.map((point, i) => ({
    ...point,
    value: meanValue(points.slice(Math.max(0, i - reach), i + reach + 1)),
  }));
}

/** Where the names stand: behind the last point of each model and not one upon the other, at the scale of what is drawn. */
function spread(models: readonly string[], points: readonly Point[], drawn: readonly Point[]): Point[] {
  const last = models.flatMap((model) => points.findLast((point) => point.model === model) ?? []);
  const values = drawn.map(({ value }) => value);
  const apart = (Math.max(...values) - Math.min(...values)) / 18;
  const placed: Point[] = [];
  for (const point of last.sort((a, b) => a.value - b.value)) {
    const below = placed.at(-1);
    placed.push({ ...point, value: below ? Math.max(point.value, below.value + apart) : point.value });
  }
  return placed;
}
