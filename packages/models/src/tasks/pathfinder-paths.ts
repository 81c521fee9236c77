import type { Stream } from "./stream.ts";

/** A piece of a path, from its beginning to its end, in pixels. */
export interface Dash {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

// As in Long Range Arena, in pixels.
const dashLength = 2;
const gap = 1;
export const markerRadius = 1.5;
/** Paths keep further from each other than the dashes of one: what belongs together can be seen. */
const clearance = 2.25;
/** Discs touch neither each other nor another path. */
const endsApart = 2 * markerRadius + 1;
const endClearance = markerRadius + clearance / 2;
/** No path begins nearer to another's beginning, up to half a pixel. */
const seedDistance = 7;
/** Places within a pixel, from which a path begins. */
const fine = 2 ** 10;

/** Headings of a whole turn. */
const headings = 1024;
/** The most that a path turns between two dashes; a contour of continuity 1 turns freely below it. */
const mostTurn = headings / 8;

/**
 * Cosines and sines of all headings: polynomials about the nearest quarter of a turn, right to 4·10⁻⁷. Math.cos and
 * Math.sin may differ between machines, sums and products do not, and one bit decides which image comes next.
 */
const [cosines, sines] = (() => {
  const tables = [new Float64Array(headings), new Float64Array(headings)];
  for (let heading = 0; heading < headings; heading++) {
    const quarter = Math.floor((heading + mostTurn) / (2 * mostTurn));
    const angle = (heading - 2 * mostTurn * quarter) * ((2 * Math.PI) / headings);
    const square = angle * angle;
    const cos = 1 - (square / 2) * (1 - (square / 12) * (1 - (square / 30) * (1 - square / 56)));
    const sin = angle * (1 - (square / 6) * (1 - (square / 20) * (1 - square / 42)));
    const turned = [cos, sin, -cos, -sin];
    tables[0][heading] = turned[[0, 3, 2, 1][quarter % 4]];
    tables[1][heading] = turned[[1, 0, 3, 2][quarter % 4]];
  }
  return tables;
})();

/** Which quarters of pixels are too near to a path, or to the edge, for another. */
export interface Ground {
  readonly side: number;
  readonly cells: Uint8Array;
}

const cellsPerPixel = 4;

/** The square of the distance of a point from a dash. */
export function squareTo(x: number, y: number, { x0, y0, x1, y1 }: Dash): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy);
  const t = along < 0 ? 0 : along > 1 ? 1 : along;
  const [ex, ey] = [x - x0 - t * dx, y - y0 - t * dy];
  return ex * ex + ey * ey;
}

/** The beginning and the end of a path. */
export function endsOf(path: readonly Dash[]): readonly [Point, Point] {
  const [first, last] = [path[0], path[path.length - 1]];
  return [
    { x: first.x0, y: first.y0 },
    { x: last.x1, y: last.y1 },
  ];
}

/**
 * Draw paths of so many dashes each that do not come near each other or themselves. The first two have room for discs at
 * all their ends.
 *
 * @param ground - without paths; it stays so
 * @throws RangeError when they do not fit
 */
export function drawPaths(random: Stream, { side, cells }: Ground, lengths: readonly number[]): Dash[][] {
  for (let attempt = 0; attempt < 500; attempt++) {
    const ground = { side, cells: cells.slice() };
    const paths: Dash[][] = [];
    for (const length of lengths) {
      const path = drawPath(random, ground, length, paths);
      if (!path) break;
      for (const dash of path) take(ground, dash);
      if (paths.length < 2) for (const { x, y } of endsOf(path)) takeDisc(ground, x, y, endDisc);
      paths.push(path);
    }
    if (paths.length === lengths.length) return paths;
  }
  throw new RangeError(
    `pathfinder: expected paths of ${lengths.join(", ")} dashes to fit in ${side} × ${side} pixels, got none that do; make them fewer or shorter`,
  );
}

/** Draw one path dash by dash, stepping back where none fits; null where no beginning leads to an end. */
function drawPath({ below }: Stream, ground: Ground, length: number, others: readonly Dash[][]): Dash[] | null {
  const places = beginnings(ground, others);
  if (places.length === 0) return null;
  for (let start = 0; start < 30; start++) {
    const place = places[below(places.length)];
    const x = (place % ground.side) + below(fine) / fine;
    const y = Math.floor(place / ground.side) + below(fine) / fine;
    if (!isFree(ground, x, y)) continue;
    const path: Dash[] = [];
    const turned: number[] = [];
    let misses = 0;
    for (let tries = 6 * length; tries > 0; tries--) {
      let heading: number;
      let x0 = x;
      let y0 = y;
      if (path.length === 0) {
        heading = below(headings);
      } else {
        const last = path[path.length - 1];
        const before = turned[path.length - 1];
        heading = (before + below(2 * mostTurn + 1) - mostTurn + headings) % headings;
        x0 = last.x1 + gap * cosines[before];
        y0 = last.y1 + gap * sines[before];
      }
      const dash = { x0, y0, x1: x0 + dashLength * cosines[heading], y1: y0 + dashLength * sines[heading] };
      const added = fits(ground, dash, path);
      if (added) {
        path.push(dash);
        turned.push(heading);
        misses = 0;
        if (path.length < length) continue;
        if (others.length >= 2 || hasRoomForDiscs(path, others)) return path;
      }
      // A dash that leaves no way on is taken back.
      if (added || ++misses === 4) {
        path.pop();
        turned.pop();
        misses = 0;
      }
    }
  }
  return null;
}

/** The pixels in which a path may begin. */
function beginnings({ side, cells }: Ground, others: readonly Dash[][]): number[] {
  const first = others.map((other) => other[0]);
  const places: number[] = [];
  const wide = side * cellsPerPixel;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const middle = (row + 0.5) * cellsPerPixel * wide + (column + 0.5) * cellsPerPixel;
      let free = cells[middle] === 0;
      for (let at = 0; free && at < first.length; at++) {
        free = squared(column + 0.5 - first[at].x0, row + 0.5 - first[at].y0) >= seedDistance ** 2;
      }
      if (free) places.push(row * side + column);
    }
  }
  return places;
}

/** Whether a dash lies on free ground, looked at every half of a pixel, and away from the path before its last dash. */
function fits(ground: Ground, dash: Dash, path: readonly Dash[]): boolean {
  const { x0, y0, x1, y1 } = dash;
  for (let step = 4; step >= 0; step--) {
    if (!isFree(ground, x0 + ((x1 - x0) * step) / 4, y0 + ((y1 - y0) * step) / 4)) return false;
  }
  const reach = clearance + 2 * dashLength;
  for (let at = path.length - 2; at >= 0; at--) {
    const own = path[at];
    if (Math.abs(own.x0 - x0) > reach || Math.abs(own.y0 - y0) > reach) continue;
    // Dashes that keep apart do not cross: an end of one is as near as they come.
    const ends = Math.min(squareTo(x0, y0, own), squareTo(x1, y1, own));
    const owns = Math.min(squareTo(own.x0, own.y0, dash), squareTo(own.x1, own.y1, dash));
    if (Math.min(ends, owns) < clearance ** 2) return false;
  }
  return true;
}

/** Whether discs at the ends of a path keep apart from each other and from the path before, if there is one. */
function hasRoomForDiscs(path: readonly Dash[], others: readonly Dash[][]): boolean {
  const own = endsOf(path);
  const apart = (one: Point, other: Point): boolean => squared(one.x - other.x, one.y - other.y) > endsApart ** 2;
  if (!apart(...own)) return false;
  return others.every((other) =>
    own.every(
      (end) =>
        endsOf(other).every((far) => apart(end, far)) &&
        other.every((dash) => squareTo(end.x, end.y, dash) > endClearance ** 2),
    ),
  );
}

function squared(x: number, y: number): number {
  return x * x + y * y;
}

/** The ground of an image without paths. */
export function emptyGround(side: number): Ground {
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

function isFree({ side, cells }: Ground, x: number, y: number): boolean {
  if (!(x >= 0 && y >= 0 && x < side && y < side)) return false;
  return cells[Math.floor(y * cellsPerPixel) * side * cellsPerPixel + Math.floor(x * cellsPerPixel)] === 0;
}

/** Half the width of each row of a disc of cells about a cell, from the row of its middle outwards. */
function discRows(radius: number): number[] {
  const cells = radius * cellsPerPixel;
  return Array.from({ length: Math.floor(cells) + 1 }, (_, row) => Math.floor(Math.sqrt(cells * cells - row * row)));
}

const clearanceDisc = discRows(clearance);
const endDisc = discRows(endClearance);

/** Take the ground about a dash: discs every half of a pixel. */
function take(ground: Ground, { x0, y0, x1, y1 }: Dash): void {
  for (let step = 0; step <= 4; step++) {
    takeDisc(ground, x0 + ((x1 - x0) * step) / 4, y0 + ((y1 - y0) * step) / 4, clearanceDisc);
  }
}

function takeDisc({ side, cells }: Ground, x: number, y: number, rows: readonly number[]): void {
  const wide = side * cellsPerPixel;
  const [row, column] = [Math.floor(y * cellsPerPixel), Math.floor(x * cellsPerPixel)];
  for (let away = 1 - rows.length; away < rows.length; away++) {
    if (row + away < 0 || row + away >= wide) continue;
    const half = rows[Math.abs(away)];
    const start = (row + away) * wide;
    const [left, right] = [Math.max(0, column - half), Math.min(wide - 1, column + half)];
    for (let at = start + left; at <= start + right; at++) cells[at] = 1;
  }
}
