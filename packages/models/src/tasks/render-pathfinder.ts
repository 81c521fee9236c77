import { type Dash, markerRadius, type Point, squareTo } from "./pathfinder-paths.ts";

/**
 * Half the width of a dash, in pixels. Long Range Arena draws half a pixel wide, at contrasts 2 · 0.75 of white, which
 * is three quarters of white where the half is covered; here a whole pixel is covered at that grey.
 */
const thickness = 0.5;
const points = 4;
/** Quarters of white of a dash, and of a disc. */
const [dashGrey, white] = [3, 4];

/** Grey values 0 … 255 of dashes and discs: the share of a pixel's 4 × 4 points that they cover. */
export function renderPathfinder(side: number, dashes: readonly Dash[], discs: readonly Point[]): Int32Array {
  const wide = side * points;
  const fine = new Uint8Array(wide * wide);
  const middle = (cell: number): number => (cell + 0.5) / points;
  const first = (from: number): number => Math.max(0, Math.floor(from * points));
  const last = (to: number): number => Math.min(wide - 1, Math.ceil(to * points));
  for (const dash of dashes) {
    const { x0, y0, x1, y1 } = dash;
    const [left, right] = [first(Math.min(x0, x1) - thickness), last(Math.max(x0, x1) + thickness)];
    const [top, bottom] = [first(Math.min(y0, y1) - thickness), last(Math.max(y0, y1) + thickness)];
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        if (squareTo(middle(column), middle(row), dash) <= thickness ** 2) fine[row * wide + column] = dashGrey;
      }
    }
  }
  for (const { x, y } of discs) {
    for (let row = first(y - markerRadius); row <= last(y + markerRadius); row++) {
      for (let column = first(x - markerRadius); column <= last(x + markerRadius); column++) {
        const [dx, dy] = [middle(column) - x, middle(row) - y];
        if (dx * dx + dy * dy <= markerRadius ** 2) fine[row * wide + column] = white;
      }
    }
  }
  const tokens = new Int32Array(side * side);
  for (let row = 0; row < wide; row++) {
    const pixels = (row >> 2) * side;
    for (let column = 0; column < wide; column++) tokens[pixels + (column >> 2)] += fine[row * wide + column];
  }
  for (let at = 0; at < tokens.length; at++) tokens[at] = Math.round((255 * tokens[at]) / (white * points * points));
  return tokens;
}
