import { colourBar, type Frame, type Matrix, magma, type Palette, picture } from "./heat-map.ts";
import { type Html, html } from "./html.ts";
import { greys } from "./png.ts";

/** Attention weights of a near field: (n, left + right + 1); slot t of row i is key i − left + t. */
export interface Band {
  readonly left: number;
  readonly right: number;
  readonly data: ArrayLike<number>;
}

/** What one head of a trained model attends to in one image. */
export interface AttentionMap {
  readonly caption: string;
  /** n = width · height grey values 0 … 1, one token each, row after row */
  readonly image: { readonly width: number; readonly height: number; readonly pixels: ArrayLike<number> };
  /** the token whose row of weights is shown as an image, 0 … n − 1 */
  readonly query: number;
  /** (n, n) weights of queries (rows) on keys (columns) */
  readonly near: Matrix | Band;
  /** (n, n) */
  readonly far: Matrix;
}

/** Draw an image, what its query pixel reads through either field, and both fields whole. */
export async function attentionFigure({ caption, image, query, near, far }: AttentionMap): Promise<Html> {
  const { width, height, pixels } = image;
  const n = width * height;
  if (!Number.isInteger(query) || query < 0 || query >= n) {
    throw new RangeError(`report: expected query in 0 … ${n - 1}, got ${query}`);
  }
  const fields: [string, Matrix][] = [
    ["near field", "rows" in near ? near : unband(near, n)],
    ["far field", far],
  ];
  for (const [name, { rows, columns, data }] of fields) {
    if (rows !== n || columns !== n || data.length !== n * n) {
      throw new RangeError(`report: expected the ${name} as (${n}, ${n}), got (${rows}, ${columns})`);
    }
  }
  const palette = await magma();
  const pixel = { x: query % width, y: Math.floor(query / width), width: 1, height: 1 };
  const row = { x: 0, y: query, width: n, height: 1 };
  const there = `row ${pixel.y + 1}, column ${pixel.x + 1}`;
  const digit = picture(
    { rows: height, columns: width, data: pixels },
    {
      low: 0,
      high: 1,
      palette: greys,
      alt: `the image, query pixel at ${there} framed`,
      frames: [pixel],
    },
  );
  const reads = fields.map(([name, { data }]) => {
    const weights = Array.from({ length: n }, (_, key) => data[query * n + key]);
    const seen = { rows: height, columns: width, data: weights };
    return panel(`${name} of the query`, seen, palette, pixel, `what the ${name} of that pixel weighs, as an image`);
  });
  const wholes = fields.map(([name, field]) =>
    panel(
      `${name}, queries down, keys across`,
      field,
      palette,
      row,
      `${name}: weight of each key (column) for each query (row)`,
    ),
  );
  return html`<figure class="attention">
<figcaption>${caption}</figcaption>
<div class="panels">
<div class="small">${digit}<span class="name">image, query framed</span></div>
${reads.map((read) => html`<div class="small">${read}</div>\n`)}
${wholes.map((whole) => html`<div class="large">${whole}</div>\n`)}</div>
</figure>
`;
}

function panel(name: string, matrix: Matrix, palette: Palette, frame: Frame, alt: string): Html {
  let low = 0;
  let high = 0;
  for (let i = 0; i < matrix.data.length; i++) {
    low = Math.min(low, matrix.data[i]);
    high = Math.max(high, matrix.data[i]);
  }
  return html`${picture(matrix, { low, high, palette, alt, frames: [frame] })}
<span class="name">${name}</span>${colourBar(low, high, palette)}`;
}

/** Write a band as the matrix that it stands for, 0 outside. */
function unband({ left, right, data }: Band, n: number): Matrix {
  const slots = left + right + 1;
  if (data.length !== n * slots)
    throw new RangeError(`report: expected a band of ${n} · ${slots} weights, got ${data.length}`);
  const full = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let t = 0; t < slots; t++) {
      const key = i - left + t;
      if (key >= 0 && key < n) full[i * n + key] = data[i * slots + t];
    }
  }
  return { rows: n, columns: n, data: full };
}
