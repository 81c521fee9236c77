import type { PlotOptions } from "@observablehq/plot";

/** Plot's functions, for the marks of a figure. */
export type Plot = typeof import("@observablehq/plot");

/**
 * Draw a figure as a file of its own: SVG on white.
 *
 * Plot and the document it draws into cost a fifth of a second to load.
 */
export async function plotSvg(describe: (plot: Plot) => PlotOptions & { readonly title: string }): Promise<string> {
  const [Plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  const { document } = parseHTML("<!doctype html><html></html>");
  const { title, ...options } = describe(Plot);
  const svg = Plot.plot({
    document: document as never,
    className: "plot",
    width: 640,
    height: 400,
    marginTop: 32,
    marginBottom: 44,
    marginLeft: 60,
    style: { fontSize: "13px", fontFamily: "system-ui, sans-serif", background: "white" },
    ...options,
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  return `${svg.outerHTML}\n`;
}

/** Colours that the colour-blind can tell apart too: Okabe, Ito (2008). */
export const hues: readonly string[] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
