/** Prints rows as Docker's `ls` and `ps` do: a table, JSON, bare ids, or the user's template. */
import type { Output } from './output.ts';
import { alignColumns } from './table.ts';

/** One thing that a row can tell, by the name that templates use for it. */
export interface Column<Row> {
  readonly header: string;
  /** Text as the table shows it; a function where the template gives arguments. */
  value(row: Row): unknown;
}

interface Listing<Row> {
  readonly rows: readonly Row[];
  readonly columns: Readonly<Record<string, Column<Row>>>;
  /** The columns of the default table, in order. */
  readonly table: readonly string[];
  /** From --format. */
  readonly format: string | undefined;
  /** Prints this alone. */
  readonly quiet?: ((row: Row) => string) | undefined;
}

export async function printList<Row>(out: Output, listing: Listing<Row>): Promise<void> {
  const { rows, columns, table, quiet } = listing;
  const format = listing.format ?? '';
  if (quiet !== undefined && (format === '' || format === 'table')) {
    for (const row of rows) out.line(quiet(row));
    return;
  }
  if (format === '' || format === 'table') {
    const header = table.map((name) => columns[name]!.header).join('\t');
    const lines = rows.map((row) =>
      table.map((name) => String(columns[name]!.value(row))).join('\t'),
    );
    for (const line of alignColumns([header, ...lines])) out.line(line);
    return;
  }
  const { compileTemplate, rowMark } = await import('./template.ts');
  const asTable = /^table\s/.test(format);
  const source = asTable ? format.slice('table '.length).trimStart() : format;
  const template = compileTemplate(format === 'json' ? '{{json .}}' : unescape(source));
  const lines = rows.map((row) =>
    template.run(document(columns, rowMark, (column) => column.value(row))),
  );
  if (!asTable) {
    for (const line of lines) out.line(line);
    return;
  }
  const header = template.runHeader(document(columns, rowMark, (column) => column.header));
  for (const line of alignColumns([header, ...lines])) out.line(line);
}

/** A shell leaves `\t` and `\n` as they are typed; users mean the characters. */
export function unescape(source: string): string {
  return source.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

/** Only what the template asks for is computed. */
function document<Row>(
  columns: Readonly<Record<string, Column<Row>>>,
  mark: symbol,
  read: (column: Column<Row>) => unknown,
): object {
  const target = { [mark]: true };
  for (const name of Object.keys(columns).sort()) {
    Object.defineProperty(target, name, { enumerable: true, get: () => read(columns[name]!) });
  }
  return target;
}
