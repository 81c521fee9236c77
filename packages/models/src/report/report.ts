import { writeWhole } from "../files/write-whole.ts";
import { type AttentionMap, attentionFigure } from "./attention-figure.ts";
import { type Html, html, trusted } from "./html.ts";
import { type Curve, learningCurves } from "./learning-curves.ts";
import { type ResultRow, resultsTable } from "./results-table.ts";
import { style } from "./style.ts";

/** All that a report shows, as plain data. */
export interface Report {
  readonly title: string;
  /** what was typed to make these results */
  readonly command: string;
  /** when, as people write it */
  readonly date: string;
  readonly table: readonly ResultRow[];
  readonly curves: readonly Curve[];
  readonly maps: readonly AttentionMap[];
  /** what a reader should know of the numbers, a paragraph each */
  readonly notes: readonly string[];
}

/**
 * Write a report as one HTML page: no scripts, nothing loaded from elsewhere, light or dark as the reader's system is.
 *
 * @param path - where to; an older page there is replaced once the new one is whole
 */
export async function writeReport(path: string, report: Report): Promise<void> {
  writeWhole(path, await renderReport(report));
}

/** Render the page that `writeReport` writes. */
export async function renderReport({ title, command, date, table, curves, maps, notes }: Report): Promise<string> {
  const hues = hueOf([...table, ...curves].map(({ model }) => model));
  const curveFigures = await learningCurves(curves, table, hues);
  const mapFigures = await Promise.all(maps.map(attentionFigure));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p class="origin"><code>${command}</code> <span>${date}</span></p>
</header>
<main>
${section("Test accuracy", table.length > 0 ? [resultsTable(table, hues)] : [])}
${section("Learning curves", curveFigures)}
${section("What a query reads", mapFigures)}
${section(
  "Notes",
  notes.map((note) => html`<p>${note}</p>\n`),
)}
</main>
</body>
</html>
`;
  return page.html;
}

function section(heading: string, content: readonly Html[]): Html | null {
  return content.length === 0 ? null : html`<section>\n<h2>${heading}</h2>\n${content}</section>\n`;
}

/** One accent per model, the same in the table and in every chart, given out in order of appearance. */
function hueOf(models: readonly string[]): ReadonlyMap<string, string> {
  return new Map([...new Set(models)].map((model, i) => [model, `var(--accent-${(i % 6) + 1})`]));
}
