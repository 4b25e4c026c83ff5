/** Columns as Go's tabwriter lays them out for Docker: cells end at a tab, the last one is loose. */

const minWidth = 10;
const padding = 3;

/** Aligns lines whose cells are parted by tabs. A column reaches as far as lines share it. */
export function alignColumns(
  lines: readonly string[],
  options: { readonly minWidth?: number; readonly padding?: number } = {},
): string[] {
  const least = options.minWidth ?? minWidth;
  const gap = options.padding ?? padding;
  const rows = lines.map((line) => line.split('\t'));
  const widths: number[][] = rows.map(() => []);
  const columns = Math.max(0, ...rows.map((cells) => cells.length - 1));
  for (let column = 0; column < columns; column++) {
    let start = 0;
    while (start < rows.length) {
      let end = start;
      let width = least;
      while (end < rows.length && column < rows[end]!.length - 1) {
        width = Math.max(width, displayWidth(rows[end]![column]!) + gap);
        end++;
      }
      for (let row = start; row < end; row++) widths[row]![column] = width;
      start = Math.max(end, start + 1);
    }
  }
  return rows.map((cells, row) =>
    cells.map((cell, column) => padTo(cell, widths[row]![column] ?? 0)).join(''),
  );
}

function padTo(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - displayWidth(cell)));
}

/** Characters, not UTF-16 units. */
function displayWidth(text: string): number {
  return Array.from(text).length;
}
