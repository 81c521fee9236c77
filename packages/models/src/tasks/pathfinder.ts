import { epochOrder } from "./epoch-order.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { placesBetween } from "./row-splits.ts";
import { type Stream, stream } from "./stream.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface PathfinderOptions {
  /** pixels along an edge; n = side²; 32 unless told */
  readonly side?: number;
  /** dashes of each of the two long paths; 14 unless told */
  readonly contourLength?: number;
  /** dashes of each short path; 4 unless told */
  readonly distractorLength?: number;
  /** how many short paths there are; 5 unless told */
  readonly distractors?: number;
  /** training images; 160,000 unless told */
  readonly train?: number;
  /** validation images; 20,000 unless told */
  readonly validation?: number;
  /** test images; 20,000 unless told */
  readonly test?: number;
  readonly seed?: number;
}

export interface PathfinderTask extends Task {
  /** Turn tokens back into (side · side) grey values from 0 to 1. */
  image(example: Example): { readonly width: number; readonly height: number; readonly pixels: Float32Array };
}

// As in Long Range Arena, in pixels.
const dash = 2;
const thickness = 0.5;
const gap = 1;
const markerRadius = 1.5;
/** Paths keep further from each other than the dashes of one: what belongs together can be seen. */
const clearance = 2.25;
/** No path begins nearer to another's beginning. */
const seedDistance = 7;
/** The most that a path turns between two dashes, in radians; a contour of continuity 1 turns freely below it. */
const mostTurn = Math.PI / 4;
/** Grey of a dash, of white. Markers are white. */
const dashGrey = 0.75;

/**
 * Tell whether two discs are the ends of one dashed path, in an image read pixel by pixel:
 *
 *     two long paths and several short ones, none touching another; label 1: discs at both ends of one long path, 0: at one end of each
 *
 * Tokens are grey values 0 … 255, of which 0, the ground, is masked as the authors of the paper mask it. Examples 2e have label 0 and
 * 2e + 1 label 1. Images are drawn until all paths fit. The splits draw from separate streams; training images come in a new order every
 * epoch.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds, or the paths do not fit in the image
 * @see Linsley, Kim, Veerabadran, Windolf, Serre (2018), Learning long-range spatial dependencies with horizontal gated recurrent units,
 *   https://arxiv.org/abs/1805.08315, with the sizes of Tay et al. (2020), Long Range Arena, https://arxiv.org/abs/2011.04006
 */
export function pathfinder(options: PathfinderOptions = {}): PathfinderTask {
  const { side, contourLength, distractorLength, distractors, train, validation, test, seed } = integerOptions(
    "pathfinder",
    options,
    {
      side: { default: 32, min: 8, max: 256 },
      contourLength: { default: 14, min: 2 },
      distractorLength: { default: 4, min: 1 },
      distractors: { default: 5, min: 0 },
      train: { default: 160_000, min: 1 },
      validation: { default: 20_000, min: 1 },
      test: { default: 20_000, min: 1 },
      seed: seedOption,
    },
  );
  const examples = { train, validation, test };
  const inOrder = epochOrder(seed, placesBetween(0, train), "all");

  function example(split: Split, index: number): Example {
    const place = split === "train" ? inOrder(index) : index;
    const random = stream(seed, split, place);
    const lengths = [contourLength, contourLength, ...new Array<number>(distractors).fill(distractorLength)];
    const label = place % 2;
    const { paths, discs } = drawImage(random, { side, lengths, joined: label === 1 });
    const tokens = render(side, paths.flat(), discs);
    const mask = Float32Array.from(tokens, (grey) => Number(grey > 0));
    return { tokens, mask, labels: Int32Array.of(label) };
  }

  const image = ({ tokens }: Example) => ({
    width: side,
    height: side,
    pixels: Float32Array.from(tokens, (grey) => grey / 255),
  });

  function describe({ tokens, labels }: Example): string {
    const rows = Array.from({ length: side }, (_, row) => tokens.subarray(row * side, (row + 1) * side));
    const shade = (grey: number) => (grey > 224 ? "@@" : grey > 96 ? "##" : grey > 0 ? "::" : "  ");
    const drawn = rows.map((row) => Array.from(row, shade).join("").trimEnd());
    return [...drawn, labels[0] === 1 ? "one path joins the discs" : "no path joins the discs"].join("\n");
  }

  return {
    ...defineTask({
      name: "pathfinder",
      kind: "classify",
      causal: false,
      vocabulary: 256,
      length: side * side,
      classes: 2,
      examples,
      example,
      describe,
    }),
    image,
  };
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** A dash of a path, from its beginning on. */
interface Segment {
  readonly from: Point;
  readonly to: Point;
}

/** Draw paths, and two discs at ends of the first two that touch no other path: of one path, or of both. */
function drawImage(
  random: Stream,
  { side, lengths, joined }: { readonly side: number; readonly lengths: readonly number[]; readonly joined: boolean },
): { readonly paths: Segment[][]; readonly discs: readonly Point[] } {
  for (let attempt = 0; attempt < 100; attempt++) {
    const paths = drawPaths(random, side, lengths);
    const free = (of: number, at: Point): boolean =>
      paths.every(
        (path, i) => i === of || path.every((segment) => toSegment(at, segment) > markerRadius + clearance / 2),
      );
    const ends = [0, 1].map((i) => [paths[i][0].from, paths[i][paths[i].length - 1].to].filter((end) => free(i, end)));
    const one = random.below(2);
    if (joined && ends[one].length === 2) return { paths, discs: ends[one] };
    const pick = (list: readonly Point[]): Point => list[random.below(list.length)];
    if (!joined && ends[0].length > 0 && ends[1].length > 0) return { paths, discs: [pick(ends[0]), pick(ends[1])] };
  }
  throw new RangeError(
    `pathfinder: expected room for two discs in ${side} × ${side} pixels, got none; draw fewer paths`,
  );
}

/** Draw paths of so many dashes each that do not come near each other. */
function drawPaths(random: Stream, side: number, lengths: readonly number[]): Segment[][] {
  for (let attempt = 0; attempt < 200; attempt++) {
    const taken = ground(side);
    const paths: Segment[][] = [];
    for (const length of lengths) {
      const path = drawPath(random, taken, length, paths);
      if (!path) break;
      for (const segment of path) take(taken, segment);
      paths.push(path);
    }
    if (paths.length === lengths.length) return paths;
  }
  throw new RangeError(
    `pathfinder: expected paths of ${lengths.join(", ")} dashes to fit in ${side} × ${side} pixels, got none that do; make them fewer or shorter`,
  );
}

function drawPath(random: Stream, taken: Ground, length: number, others: readonly Segment[][]): Segment[] | null {
  const { side } = taken;
  const uniform = (): number => random.below(2 ** 24) / 2 ** 24;
  for (let start = 0; start < 3000; start++) {
    let at: Point = { x: uniform() * side, y: uniform() * side };
    let direction = 2 * Math.PI * uniform();
    if (others.some(([{ from }]) => Math.hypot(from.x - at.x, from.y - at.y) < seedDistance)) continue;
    const path: Segment[] = [];
    while (path.length < length) {
      let added: Segment | undefined;
      for (let turn = 0; turn < 4 && !added; turn++) {
        const heading = path.length === 0 ? direction : direction + mostTurn * (2 * uniform() - 1);
        const to = { x: at.x + dash * Math.cos(heading), y: at.y + dash * Math.sin(heading) };
        const segment = { from: at, to };
        // The last dash is followed closely.
        if (!isFree(taken, segment) || path.some((own, i) => i < path.length - 1 && isNear(own, segment))) continue;
        added = segment;
        direction = heading;
      }
      if (!added) break;
      path.push(added);
      const { to } = added;
      at = { x: to.x + gap * Math.cos(direction), y: to.y + gap * Math.sin(direction) };
    }
    if (path.length === length) return path;
  }
  return null;
}

/** Which quarters of pixels are too near to a path, or to the edge, for another. */
interface Ground {
  readonly side: number;
  readonly cells: Uint8Array;
}

const cellsPerPixel = 4;

function ground(side: number): Ground {
  const margin = markerRadius + 0.5;
  const wide = side * cellsPerPixel;
  const inside = (cell: number): boolean => {
    const at = (cell + 0.5) / cellsPerPixel;
    return at > margin && at < side - margin;
  };
  const cells = Uint8Array.from({ length: wide * wide }, (_, at) =>
    inside(Math.floor(at / wide)) && inside(at % wide) ? 0 : 1,
  );
  return { side, cells };
}

function take({ side, cells }: Ground, segment: Segment): void {
  const wide = side * cellsPerPixel;
  const { from, to } = segment;
  const range = (a: number, b: number): [number, number] => [
    Math.max(0, Math.floor((Math.min(a, b) - clearance) * cellsPerPixel)),
    Math.min(wide - 1, Math.ceil((Math.max(a, b) + clearance) * cellsPerPixel)),
  ];
  const [left, right] = range(from.x, to.x);
  const [top, bottom] = range(from.y, to.y);
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const at = { x: (column + 0.5) / cellsPerPixel, y: (row + 0.5) / cellsPerPixel };
      if (toSegment(at, segment) < clearance) cells[row * wide + column] = 1;
    }
  }
}

/** Whether a dash lies on free ground, looked at every quarter of a pixel. */
function isFree({ side, cells }: Ground, { from, to }: Segment): boolean {
  const wide = side * cellsPerPixel;
  const steps = dash * cellsPerPixel;
  for (let step = 0; step <= steps; step++) {
    const x = from.x + ((to.x - from.x) * step) / steps;
    const y = from.y + ((to.y - from.y) * step) / steps;
    if (!(x >= 0 && y >= 0 && x < side && y < side)) return false;
    if (cells[Math.floor(y * cellsPerPixel) * wide + Math.floor(x * cellsPerPixel)] === 1) return false;
  }
  return true;
}

/** Whether two dashes, which do not cross where they keep apart, come nearer than paths may. */
function isNear(a: Segment, b: Segment): boolean {
  const reach = clearance + 2 * dash;
  if (Math.abs(a.from.x - b.from.x) > reach || Math.abs(a.from.y - b.from.y) > reach) return false;
  const ends = [toSegment(a.from, b), toSegment(a.to, b), toSegment(b.from, a), toSegment(b.to, a)];
  return Math.min(...ends) < clearance;
}

function toSegment({ x, y }: Point, { from, to }: Segment): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const along = ((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy);
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(x - from.x - t * dx, y - from.y - t * dy);
}

/** Grey values of dashes and discs: the share of a pixel's 4 × 4 points that they cover. */
function render(side: number, segments: readonly Segment[], discs: readonly Point[]): Int32Array {
  const points = 4;
  const wide = side * points;
  const fine = new Float32Array(wide * wide);
  const paint = (low: Point, high: Point, grey: number, covers: (at: Point) => boolean): void => {
    const range = (from: number, to: number): [number, number] => [
      Math.max(0, Math.floor(from * points)),
      Math.min(wide - 1, Math.ceil(to * points)),
    ];
    const [left, right] = range(low.x, high.x);
    const [top, bottom] = range(low.y, high.y);
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const at = { x: (column + 0.5) / points, y: (row + 0.5) / points };
        if (covers(at)) fine[row * wide + column] = grey;
      }
    }
  };
  for (const segment of segments) {
    const { from, to } = segment;
    const low = { x: Math.min(from.x, to.x) - thickness, y: Math.min(from.y, to.y) - thickness };
    const high = { x: Math.max(from.x, to.x) + thickness, y: Math.max(from.y, to.y) + thickness };
    paint(low, high, dashGrey, (at) => toSegment(at, segment) <= thickness);
  }
  for (const { x, y } of discs) {
    const [low, high] = [-markerRadius, markerRadius].map((r) => ({ x: x + r, y: y + r }));
    paint(low, high, 1, (at) => Math.hypot(at.x - x, at.y - y) <= markerRadius);
  }
  const tokens = new Int32Array(side * side);
  for (let pixel = 0; pixel < tokens.length; pixel++) {
    const [row, column] = [Math.floor(pixel / side) * points, (pixel % side) * points];
    let sum = 0;
    for (let r = 0; r < points; r++) for (let c = 0; c < points; c++) sum += fine[(row + r) * wide + column + c];
    tokens[pixel] = Math.round((255 * sum) / points ** 2);
  }
  return tokens;
}
