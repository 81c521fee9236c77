import { type Html, html } from "./html.ts";

/** How one model did on one task. */
export interface ResultRow {
  readonly task: string;
  readonly model: string;
  /** on the test split, 0 … 1 */
  readonly accuracy: number;
  /** what this kind of model provably cannot exceed, 0 … 1 */
  readonly bound?: number;
  /** on the test split, in nats */
  readonly loss?: number;
  readonly parameters?: number;
  readonly steps?: number;
  readonly tokensPerSecond?: number;
  readonly seconds?: number;
}

const grouped = new Intl.NumberFormat("en");
const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

interface Column {
  readonly heading: string;
  readonly cell: (row: ResultRow) => string | undefined;
}

/** The columns after the accuracy; one that no row fills is left out. */
const columns: readonly Column[] = [
  { heading: "loss", cell: ({ loss }) => loss?.toFixed(3) },
  { heading: "parameters", cell: ({ parameters: count }) => (count === undefined ? count : grouped.format(count)) },
  { heading: "steps", cell: ({ steps: count }) => (count === undefined ? count : grouped.format(count)) },
  { heading: "tokens/s", cell: ({ tokensPerSecond: rate }) => (rate === undefined ? rate : rounded.format(rate)) },
  { heading: "seconds", cell: ({ seconds }) => seconds?.toFixed(seconds < 10 ? 1 : 0) },
];

/** Write a share as `87.4 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Draw the results as a table, a group of rows per task, with bars that share one scale from 0 to 1. */
export function resultsTable(rows: readonly ResultRow[], hues: ReadonlyMap<string, string>): Html {
  const shown = columns.filter(({ cell }) => rows.some((row) => cell(row) !== undefined));
  const tasks = [...new Set(rows.map(({ task }) => task))];
  const heads = shown.map(({ heading }) => html`<th scope="col" class="number">${heading}</th>`);
  const groups = tasks.map((task) => {
    const own = rows.filter((row) => row.task === task);
    const best = Math.max(...own.map(({ accuracy }) => accuracy));
    return html`<tbody>
<tr><th scope="rowgroup" colspan="${shown.length + 2}" class="task">${task}</th></tr>
${own.map((row) => resultRow(row, row.accuracy === best))}</tbody>
`;
  });

  function resultRow(row: ResultRow, best: boolean): Html {
    const { model, accuracy, bound } = row;
    const tick = bound === undefined ? null : html`<i class="bound" style="left:${(100 * bound).toFixed(2)}%"></i>`;
    const note = bound === undefined ? null : html` <small>of at most ${percent(bound)}</small>`;
    const value = best ? html`<strong>${percent(accuracy)}</strong>` : html`${percent(accuracy)}`;
    return html`<tr style="--hue:${hues.get(model) ?? "currentColor"}">
<th scope="row"><i class="dot"></i>${model}</th>
<td class="accuracy"><span>${value}${note}</span>
<span class="bar" aria-hidden="true"><i style="width:${(100 * accuracy).toFixed(2)}%"></i>${tick}</span></td>
${shown.map(({ cell }) => html`<td class="number">${cell(row) ?? "–"}</td>`)}
</tr>
`;
  }

  return html`<div class="scroll" tabindex="0" role="region" aria-label="Test accuracy"><table class="results">
<thead><tr><th scope="col">model</th><th scope="col">accuracy</th>${heads}</tr></thead>
${groups}</table></div>
`;
}
