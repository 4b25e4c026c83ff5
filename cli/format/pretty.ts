/** The lines of `inspect --pretty`, with Docker's own tabs and blanks between name and value. */

/** `key=value` entries below a heading; nothing where there are none. */
export function pairLines(
  heading: string,
  entries: Readonly<Record<string, string>>,
  bullet: string,
): string[] {
  const lines = Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ` ${bullet}${key}${value === '' ? '' : `=${value}`}`);
  return lines.length === 0 ? [] : [`${heading}:`, ...lines];
}

/** The line where there is a value; nothing otherwise. */
export function optionalLine(name: string, value: string | number | undefined): string[] {
  return value === undefined || value === '' ? [] : [`${name}${value}`];
}

/** `2026-11-21 13:14:15.123456789 +0000 utc`, as Docker prints times for people. */
export function timeLine(time: string): string {
  return time.replace('T', ' ').replace(/Z$/, ' +0000 utc');
}
