import { type Html, html } from "./html.ts";
import { pngUri } from "./png.ts";

/** Numbers to be shown as colours, (rows, columns), row after row. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: ArrayLike<number>;
}

/** A part of a picture to draw a frame around, in pixels of the picture. */
export interface Frame {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** 256 colours, from the smallest number to the largest. */
export type Palette = Uint8Array;

/** Load the colour map magma: equal steps of a number look equal, in grey and to the colour-blind as well. */
export async function magma(): Promise<Palette> {
  const { scale } = await import("@observablehq/plot");
  const { apply } = scale({ color: { type: "linear", scheme: "magma", domain: [0, 255] } })!;
  const colours = Array.from({ length: 256 }, (_, level) => Number.parseInt((apply(level) as string).slice(1), 16));
  return Uint8Array.from(colours.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
}

/**
 * Draw a matrix as a picture, a pixel per number.
 *
 * @param low - the number that gets the first colour
 * @param high - the number that gets the last; where it equals low, all get the first
 * @param alt - what there is to see, for those who cannot
 * @param frames - where to draw frames
 */
export function picture(
  { rows, columns, data }: Matrix,
  {
    low,
    high,
    palette,
    alt,
    frames = [],
  }: {
    readonly low: number;
    readonly high: number;
    readonly palette: Palette;
    readonly alt: string;
    readonly frames?: readonly Frame[];
  },
): Html {
  const scale = high > low ? 255 / (high - low) : 0;
  const pixels = new Uint8Array(rows * columns);
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.max(0, Math.min(255, Math.round((data[i] - low) * scale)));
  const marks = frames.map(
    ({ x, y, width, height }) => html`<rect class="frame" x="${x}" y="${y}" width="${width}" height="${height}"/>`,
  );
  const uri = pngUri(columns, pixels, palette);
  return html`<svg class="picture" viewBox="0 0 ${columns} ${rows}" role="img" aria-label="${alt}">
<image href="${uri}" width="${columns}" height="${rows}"/>${marks}
</svg>
`;
}

/** Draw the colours from low to high with both numbers. */
export function colourBar(low: number, high: number, palette: Palette): Html {
  const ramp = Uint8Array.from({ length: 256 }, (_, level) => level);
  const uri = pngUri(256, ramp, palette);
  const ends = [low, high].map((value) => html`<span>${short(value)}</span>`);
  return html`<span class="colour-bar">${ends[0]}<img src="${uri}" alt="to">${ends[1]}</span>`;
}

function short(value: number): string {
  return value === 0 ? "0" : Number(value.toPrecision(2)).toString();
}
