/** The lines of `inspect --pretty`: a name and a tab, as Docker writes them. */

type Entry = readonly [string, string | number | undefined];

/** Entries without a value are left out; one with an empty text is a heading. */
export function entryLines(indent: string, entries: readonly Entry[]): string[] {
  const width = 16;
  return entries
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) =>
      value === '' ? `${indent}${key}:` : `${indent}${`${key}:`.padEnd(width)}${value}`,
    );
}

/** A list of `key=value` below a heading; nothing where there are none. */
export function pairLines(
  indent: string,
  heading: string,
  entries: Readonly<Record<string, string>>,
): string[] {
  const lines = Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${indent} - ${key}${value === '' ? '' : `=${value}`}`);
  return lines.length === 0 ? [] : [`${indent}${heading}:`, ...lines];
}

/** `2026-11-21 13:14:15.123456789 +0000 utc`, as Docker prints times for people. */
export function timeLine(time: string): string {
  return time.replace('T', ' ').replace(/Z$/, ' +0000 utc');
}
