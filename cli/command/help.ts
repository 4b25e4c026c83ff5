/** The text of --help, laid out as Docker's. */
import type { Command } from './command.ts';
import type { Flag } from './flags.ts';
import type { Group, Verb } from './tree.ts';

const widestHelp = 100;

export function verbHelp(
  path: string,
  verb: Verb,
  command: Command,
  flags: readonly Flag<unknown>[],
  columns: number,
): string {
  const lines = [`Usage:  ${path} ${command.usage}`.trimEnd(), '', verb.short];
  if (command.long !== undefined) lines.push('', command.long);
  if (verb.aliases !== undefined) {
    const parent = path.split(' ').slice(0, -1).join(' ');
    const all = [path, ...verb.aliases.map((alias) => `${parent} ${alias}`)];
    lines.push('', 'Aliases:', `  ${all.join(', ')}`);
  }
  return `${[...lines, ...optionLines(flags, columns)].join('\n')}\n`;
}

export function groupHelp(
  path: string,
  group: Group,
  flags: readonly Flag<unknown>[],
  columns: number,
): string {
  const visible = Object.entries(group.verbs)
    .filter(([, entry]) => !('hidden' in entry && entry.hidden))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(...visible.map(([name]) => name.length));
  const listOf = (title: string, entries: typeof visible) =>
    entries.length === 0
      ? []
      : [
          '',
          `${title}:`,
          ...entries.map(([name, { short }]) => `  ${name.padEnd(width)}   ${short}`),
        ];
  return [
    `Usage:  ${path} ${flags.length > 0 ? '[OPTIONS] ' : ''}COMMAND`,
    '',
    group.short,
    ...optionLines(flags, columns),
    ...listOf(
      'Management Commands',
      visible.filter(([, entry]) => 'verbs' in entry),
    ),
    ...listOf(
      'Commands',
      visible.filter(([, entry]) => !('verbs' in entry)),
    ),
    '',
    `Run '${path} COMMAND --help' for more information on a command.`,
    '',
  ].join('\n');
}

function optionLines(flags: readonly Flag<unknown>[], columns: number): string[] {
  if (flags.length === 0) return [];
  const rows = flags
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => ({
      left: `${flag.short === undefined ? '    ' : `-${flag.short}, `}--${flag.name} ${flag.word}`,
      right:
        flag.shownDefault === undefined ? flag.help : `${flag.help} (default ${flag.shownDefault})`,
    }));
  const width = Math.max(...rows.map(({ left }) => left.trimEnd().length));
  const room = Math.max(30, Math.min(columns, widestHelp) - width - 5);
  return [
    '',
    'Options:',
    ...rows.flatMap(({ left, right }) =>
      wrap(right, room).map(
        (line, index) => `  ${(index === 0 ? left.trimEnd() : '').padEnd(width)}   ${line}`,
      ),
    ),
  ];
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}
