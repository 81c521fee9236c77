/** Lay out a table for a terminal: the first column to the left, columns of numbers to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const numeric = heads.map((_, column) => column > 0 && rows.every((row) => /^[–\d]/.test(row[column])));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join("  ")
      .trimEnd();
  return all.map(line).join("\n");
}
