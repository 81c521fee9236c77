import { type Html, html, trusted } from "./html.ts";
import { percent, type ResultRow } from "./results-table.ts";

/** How training of one model on one task went, on the batches that it trained on. */
export interface Curve {
  readonly task: string;
  readonly model: string;
  readonly steps: readonly number[];
  /** one for each of the steps, in nats */
  readonly loss: readonly number[];
  /** one for each of the steps, 0 … 1 */
  readonly accuracy?: readonly number[];
  /** What was measured on the validation split on the way, after steps of its own */
  readonly validation?: {
    readonly steps: readonly number[];
    readonly loss: readonly number[];
    readonly accuracy: readonly number[];
  };
}

type Measure = "loss" | "accuracy";

/** Draw loss and accuracy against steps, a figure per task with all its models. */
export async function learningCurves(
  curves: readonly Curve[],
  results: readonly ResultRow[],
  hues: ReadonlyMap<string, string>,
): Promise<Html[]> {
  if (curves.length === 0) return [];
  const draw = await drawing();
  const tasks = [...new Set(curves.map(({ task }) => task))];
  return tasks.map((task) => {
    const own = curves.filter((curve) => curve.task === task);
    const bounds = results.filter((row) => row.task === task && row.bound !== undefined);
    const charts = (["loss", "accuracy"] as const)
      .filter((measure) => own.some((curve) => curve[measure] !== undefined))
      .map(
        (measure) => html`<div class="chart">${draw(measure, own, measure === "accuracy" ? bounds : [], hues)}</div>\n`,
      );
    const dotted = own.some(({ validation }) => validation !== undefined);
    const legend = own.map(
      ({ model }) => html`<li style="--hue:${hues.get(model) ?? ""}"><i class="dot"></i>${model}</li>`,
    );
    return html`<figure class="curves">
<figcaption><h3>${task}</h3><ul class="legend">${legend}</ul>${dotted ? html`<small>lines: training, rings: validation</small>` : null}</figcaption>
<div class="charts">
${charts}</div>
${numbers(own)}</figure>
`;
  });
}

/** Load Plot and a document for it to draw into; both cost a fifth of a second, so only a page with curves pays. */
async function drawing() {
  const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  const { document } = parseHTML("<!doctype html><html></html>");

  return (
    measure: Measure,
    curves: readonly Curve[],
    bounds: readonly ResultRow[],
    hues: ReadonlyMap<string, string>,
  ): Html => {
    const hue = ({ model }: { model: string }) => hues.get(model) ?? "currentColor";
    const lines = curves.flatMap((curve) => {
      const values = curve[measure] ?? [];
      if (values.length === 0) return [];
      const points = values.map((value, i) => ({ step: curve.steps[i], value }));
      const at = { x: "step", y: "value", stroke: hue(curve) };
      const k = Math.ceil(points.length / 30);
      const smooth = Plot.windowY({ k, anchor: "middle" }, { ...at, strokeWidth: 2, strokeLinejoin: "round" });
      const raw = k < 3 ? [] : [Plot.lineY(points, { ...at, strokeWidth: 1, strokeOpacity: 0.22 })];
      return [...raw, Plot.lineY(points, smooth)];
    });
    const dots = curves.flatMap((curve) => {
      const { validation } = curve;
      if (!validation) return [];
      const points = validation.steps.map((step, i) => ({ step, value: validation[measure][i] }));
      return [Plot.dot(points, { x: "step", y: "value", r: 2.5, fill: "var(--paper)", stroke: hue(curve) })];
    });
    const limits = bounds.map((row) => Plot.ruleY([row.bound], { stroke: hue(row), strokeDasharray: "2 4" }));
    const svg = Plot.plot({
      document,
      className: "plot",
      width: 400,
      height: 250,
      marginLeft: 52,
      marginRight: 24, // half of the last number of steps
      marginTop: 30,
      marginBottom: 40,
      style: { fontSize: "13px" },
      x: { label: "step", ticks: 5 },
      y: {
        label: dots.length > 0 ? measure : `training ${measure}`,
        labelArrow: "none",
        ticks: 5,
        grid: true,
        ...(measure === "accuracy"
          ? { domain: [0, 1], tickFormat: (share: number) => `${Math.round(100 * share)} %` }
          : { zero: true }),
      },
      marks: [Plot.ruleY([0], { strokeOpacity: 0.4 }), ...limits, ...lines, ...dots],
    });
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `training ${measure} by step; the numbers are in the table below`);
    return trusted(svg.outerHTML);
  };
}

/** The same curves for those who cannot see them: a table of at most ten rows. */
function numbers(curves: readonly Curve[]): Html {
  const longest = curves.reduce((long, { steps }) => (steps.length > long.length ? steps : long), curves[0].steps);
  const stride = Math.max(1, Math.ceil(longest.length / 10));
  const shown = longest.filter((_, i) => i % stride === stride - 1 || i === longest.length - 1);
  const heads = curves.map(({ model }) => html`<th scope="col" class="number">${model}</th>`);
  const cell = ({ steps, loss, accuracy }: Curve, step: number): string => {
    const i = steps.indexOf(step);
    if (i < 0) return "–";
    return loss[i].toFixed(3) + (accuracy ? ` · ${percent(accuracy[i])}` : "");
  };
  const body = shown.map(
    (step) =>
      html`<tr><th scope="row" class="number">${step}</th>${curves.map(
        (curve) => html`<td class="number">${cell(curve, step)}</td>`,
      )}</tr>\n`,
  );
  return html`<details><summary>Numbers</summary>
<div class="scroll"><table>
<thead><tr><th scope="col" class="number">step</th>${heads}</tr></thead>
<tbody>
${body}</tbody></table></div></details>
`;
}
