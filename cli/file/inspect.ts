import type { FileKind } from '../../types/index.ts';
import { connect } from '../client/index.ts';
import { atLeast, type Command } from '../command/command.ts';
import { inspectFormatFlag } from '../command/common-flags.ts';
import { commandError } from '../command/errors.ts';
import { bool } from '../command/flags.ts';
import { printInspected } from '../format/inspect.ts';
import { pairLines, timeLine } from '../format/pretty.ts';
import { findFile, type WireFile } from './wire.ts';

const pretty = bool('pretty', 'Print the information in a human friendly format');
const optional = new Set(['Data', 'Driver', 'Templating']);

export function inspectCommand(kind: FileKind): Command {
  const noun = kind.toUpperCase();
  return {
    usage: `[OPTIONS] ${noun} [${noun}...]`,
    flags: [inspectFormatFlag, pretty],
    args: atLeast(1),
    async run(context, references, flags) {
      const client = connect(context);
      const get = (reference: string) => findFile(client, kind, reference);
      const format = flags.get(inspectFormatFlag);
      if (!flags.get(pretty))
        return printInspected(context.out, references, get, { format, optional });
      if (format !== undefined)
        throw commandError('--format is incompatible with human friendly format');
      for (const reference of references) {
        context.out.line(prettyFile(kind, await get(reference)));
      }
    },
  };
}

/** With Docker's own blanks and tabs. */
function prettyFile(kind: FileKind, { ID, Spec, CreatedAt, UpdatedAt }: WireFile): string {
  const labels = pairLines('Labels', Spec.Labels ?? {}, '- ');
  if (kind === 'secret') {
    return [
      `ID:              ${ID}`,
      `Name:              ${Spec.Name}`,
      ...labels,
      `Driver:            ${Spec.Driver?.Name ?? ''}`,
      `Created at:        ${timeLine(CreatedAt)}`,
      `Updated at:        ${timeLine(UpdatedAt)}`,
    ].join('\n');
  }
  return [
    `ID:\t\t\t${ID}`,
    `Name:\t\t\t${Spec.Name}`,
    ...labels,
    `Created at:            \t${timeLine(CreatedAt)}`,
    `Updated at:            \t${timeLine(UpdatedAt)}`,
    'Data:',
    Buffer.from(Spec.Data ?? '', 'base64').toString(),
  ].join('\n');
}
