import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inflateSync } from "node:zlib";
import { type AttentionMap, type Band, type Report, renderReport, writeReport } from "@fmmformer/models";
import { parseHTML } from "linkedom";

const [width, height, n] = [4, 3, 12];
const band: Band = { left: 2, right: 1, data: Float64Array.from({ length: n * 4 }, (_, i) => ((i * 7) % 11) / 20) };
const far = { rows: n, columns: n, data: Float64Array.from({ length: n * n }, (_, i) => ((i * 5) % 13) / 130) };
const map: AttentionMap = {
  caption: "A test digit 4",
  image: { width, height, pixels: Float64Array.from({ length: n }, (_, i) => i / 11) },
  query: 6,
  near: band,
  far,
};
const report: Report = {
  title: "Near & far",
  command: "npm start",
  date: "24 November 2026",
  table: [
    { task: "digits", model: "fmm", accuracy: 0.8741, loss: 0.4123, parameters: 47012, steps: 450, seconds: 92.4 },
    { task: "switch-board", model: "fmm", accuracy: 0.991 },
    { task: "switch-board", model: "band", accuracy: 0.493, bound: 0.5 },
  ],
  curves: [
    { task: "digits", model: "fmm", steps: [10, 20, 30], loss: [2.3, 1.1, 0.4], accuracy: [0.1, 0.6, 0.875] },
    { task: "digits", model: "band", steps: [10, 20, 30], loss: [2.3, 1.2, 0.5] },
  ],
  maps: [map],
  notes: ["Two thousand test digits.", "One seed."],
};
const documentOf = async (shown: Report) => parseHTML(await renderReport(shown)).document;
const withMap = (change: Partial<AttentionMap>): Report => ({ ...report, maps: [{ ...map, ...change }] });
const all = (document: Document, selector: string) => [...document.querySelectorAll(selector)];

/** Decode a PNG with a palette: rows of colours as rrggbb. */
function decode(uri: string): string[][] {
  const png = Buffer.from(uri.replace("data:image/png;base64,", ""), "base64");
  assert.equal(png.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < png.length; at += png.readUInt32BE(at) + 12) {
    chunks.set(png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const columns = chunks.get("IHDR")!.readUInt32BE(0);
  const rows = inflateSync(chunks.get("IDAT")!);
  assert.equal(rows.length, chunks.get("IHDR")!.readUInt32BE(4) * (columns + 1));
  const palette = chunks.get("PLTE")!;
  return Array.from({ length: rows.length / (columns + 1) }, (_, row) =>
    Array.from({ length: columns }, (_, column) => {
      const colour = 3 * rows[row * (columns + 1) + 1 + column];
      return palette.toString("hex", colour, colour + 3);
    }),
  );
}

test("the page shows all that it was given", async () => {
  const document = await documentOf(report);
  assert.equal(document.title, "Near & far");
  assert.equal(document.querySelector("h1")!.textContent, "Near & far");
  assert.equal(document.querySelector("code")!.textContent, "npm start");
  const text = document.body.textContent!;
  for (const part of ["24 November 2026", "A test digit 4", "Two thousand test digits.", "One seed."]) {
    assert.ok(text.includes(part), part);
  }
  const cells = all(document, ".results tbody tr").map((row) =>
    [...row.children].map((cell) => cell.textContent!.replace(/\s+/g, " ").trim()),
  );
  assert.deepEqual(cells, [
    ["digits"],
    ["fmm", "87.4 %", "0.412", "47,012", "450", "92"],
    ["switch-board"],
    ["fmm", "99.1 %", "–", "–", "–", "–"],
    ["band", "49.3 % of at most 50.0 %", "–", "–", "–", "–"],
  ]);
  const numbers = all(document, "details tbody tr").map((row) => [...row.children].map((cell) => cell.textContent));
  assert.deepEqual(numbers, [
    ["10", "2.300 · 10.0 %", "2.300"],
    ["20", "1.100 · 60.0 %", "1.200"],
    ["30", "0.400 · 87.5 %", "0.500"],
  ]);
});

test("sections and columns without content are left out", async () => {
  const document = await documentOf({ ...report, curves: [], maps: [], notes: [], table: report.table.slice(1) });
  assert.deepEqual(
    all(document, "h2").map((heading) => heading.textContent),
    ["Test accuracy"],
  );
  assert.deepEqual(
    all(document, "thead th").map((head) => head.textContent),
    ["model", "accuracy"],
  );
});

test("text that looks like HTML stays text, wherever it is put", async () => {
  const evil = `<script>alert("'&")</script>`;
  const document = await documentOf({
    title: evil,
    command: evil,
    date: evil,
    table: [{ task: evil, model: evil, accuracy: 0.5 }],
    curves: [{ task: evil, model: evil, steps: [1, 2], loss: [2, 1] }],
    maps: [{ ...map, caption: evil }],
    notes: [evil],
  });
  assert.equal(all(document, "script").length, 0);
  const shown = [...["h1", "code", ".origin span", ".task", ".results th[scope=row]"], ...["h3", ".legend li"]];
  for (const selector of [...shown, ".attention figcaption", "section > p"]) {
    assert.equal(document.querySelector(selector)!.textContent, evil, selector);
  }
});

test("the page asks nobody for anything", async () => {
  const page = (await renderReport(report)).replace(/data:image\/png;base64,[\w+/=]+/g, "data:");
  assert.doesNotMatch(page, /\/\/|url\(|@import|<script|<link|<iframe|\son\w+=/i);
  const addresses = [...page.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, address]) => address);
  assert.ok(addresses.length >= 9);
  assert.deepEqual(new Set(addresses), new Set(["data:"]));
});

test("what is drawn is also said: a language, alternative texts, heads of tables", async () => {
  const document = await documentOf(report);
  assert.equal(document.documentElement.getAttribute("lang"), "en");
  const drawings = all(document, "svg");
  assert.equal(drawings.length, 2 + 5);
  for (const drawing of drawings) {
    assert.equal(drawing.getAttribute("role"), "img");
    assert.ok(drawing.getAttribute("aria-label")!.length > 20);
  }
  for (const image of all(document, "img")) assert.ok(image.getAttribute("alt"));
  for (const head of all(document, "th")) assert.match(head.getAttribute("scope")!, /^(row|col|rowgroup)$/);
  for (const row of all(document, "tbody tr")) assert.equal(row.firstElementChild!.tagName, "TH");
});

test("a model has one colour in the table and in every chart, and models differ", async () => {
  const document = await documentOf(report);
  const hue = (element: Element) => /--hue:(var\(--accent-\d\))/.exec(element.getAttribute("style")!)![1];
  const rows = all(document, ".results tr[style]").map(hue);
  const legend = all(document, ".legend li").map(hue);
  assert.deepEqual(rows, [rows[0], rows[0], rows[2]]);
  assert.notEqual(rows[0], rows[2]);
  assert.deepEqual(legend, [rows[0], rows[2]]);
  const lossChart = document.querySelector(".chart")!.innerHTML;
  for (const colour of legend) assert.ok(lossChart.includes(`stroke="${colour}"`));
});

describe("attention maps", () => {
  const pictures = async (shown: Report) =>
    all(await documentOf(shown), ".attention image").map((image) => decode(image.getAttribute("href")!));
  const position = (picture: string[][], of: (colours: string[]) => string) => {
    const colours = picture.flat();
    return colours.indexOf(of(colours));
  };
  const brightness = (colour: string) =>
    [0, 2, 4].reduce((sum, at) => sum + Number.parseInt(colour.slice(at, at + 2), 16), 0);
  const brightest = (colours: string[]) => colours.reduce((x, y) => (brightness(y) > brightness(x) ? y : x));

  test("five pictures: the image, both fields of the query as images, both fields whole", async () => {
    const sizes = (await pictures(report)).map((picture) => [picture.length, picture[0].length]);
    assert.deepEqual(sizes, [
      [height, width],
      [height, width],
      [height, width],
      [n, n],
      [n, n],
    ]);
  });

  test("the image goes from black to white in its own order", async () => {
    const [image] = await pictures(report);
    const levels = image.flat().map(brightness);
    assert.deepEqual([levels[0], levels[n - 1]], [0, 3 * 255]);
    assert.deepEqual(
      levels.toSorted((x, y) => x - y),
      levels,
    );
  });

  test("the largest weight is the brightest pixel, in the query's row and in the whole field", async () => {
    const [, , farRow, , farWhole] = await pictures(report);
    const row = far.data.subarray(map.query * n, (map.query + 1) * n);
    assert.equal(position(farRow, brightest), row.indexOf(Math.max(...row)));
    assert.equal(position(farWhole, brightest), far.data.indexOf(Math.max(...far.data)));
  });

  test("a band is drawn as the matrix that it stands for", async () => {
    const data = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = Math.max(0, i - 2); j <= Math.min(n - 1, i + 1); j++) data[i * n + j] = band.data[i * 4 + j - i + 2];
    }
    assert.equal(await renderReport(withMap({ near: { rows: n, columns: n, data } })), await renderReport(report));
  });

  test("a frame stands around the query pixel and its row", async () => {
    const frames = all(await documentOf(report), ".frame").map((frame) =>
      ["x", "y", "width", "height"].map((name) => Number(frame.getAttribute(name))),
    );
    assert.deepEqual(frames, [
      [2, 1, 1, 1],
      [2, 1, 1, 1],
      [2, 1, 1, 1],
      [0, 6, n, 1],
      [0, 6, n, 1],
    ]);
  });

  test("a map whose parts do not fit is refused", async () => {
    await assert.rejects(
      renderReport(withMap({ query: 12 })),
      /^RangeError: report: expected query in 0 … 11, got 12$/,
    );
    const short = { ...far, columns: 11 };
    await assert.rejects(renderReport(withMap({ far: short })), /expected the far field as \(12, 12\), got \(12, 11\)/);
    await assert.rejects(
      renderReport(withMap({ near: { ...band, left: 3 } })),
      /expected a band of 12 · 5 weights, got 48/,
    );
  });
});

test("writeReport replaces an older page and leaves nothing else behind", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fmmformer-report-"));
  try {
    const path = join(folder, "report.html");
    await writeReport(path, { ...report, title: "Old" });
    await writeReport(path, report);
    assert.deepEqual(readdirSync(folder), ["report.html"]);
    assert.equal(readFileSync(path, "utf8"), await renderReport(report));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
