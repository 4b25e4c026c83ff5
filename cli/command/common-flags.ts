/** Flags that many verbs share. */
import { parseFilter } from '../service/lookup.ts';
import { bool, listOf, text } from './flags.ts';

export const filterFlag = listOf(
  'filter',
  'Filter output based on conditions provided',
  parseFilter,
  { short: 'f', word: 'filter' },
);

/** Of the verbs that take away whatever is unused. */
export function pruneFilterFlag(example: string) {
  const about = `Provide filter values (e.g. ${example})`;
  return listOf('filter', about, parseFilter, { word: 'filter' });
}

export const formatFlag = text(
  'format',
  'Format output using a custom template:\n' +
    "'table':            Print output in table format with column headers (default)\n" +
    "'table TEMPLATE':   Print output in table format using the given Go template\n" +
    "'json':             Print in JSON format\n" +
    "'TEMPLATE':         Print output using the given Go template.",
);

export const inspectFormatFlag = text(
  'format',
  'Format output using a custom template:\n' +
    "'json':             Print in JSON format\n" +
    "'TEMPLATE':         Print output using the given Go template.",
  { short: 'f' },
);

export const noTruncFlag = bool('no-trunc', 'Do not truncate output');
export const noResolveFlag = bool('no-resolve', 'Do not map IDs to Names');
export const detachFlag = bool(
  'detach',
  'Exit immediately instead of waiting for the service to converge',
  { short: 'd' },
);
export const quietProgressFlag = bool('quiet', 'Suppress progress output', { short: 'q' });
