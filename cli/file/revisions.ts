import { humanDuration } from '../../lib/units.ts';
import type { FileKind } from '../../types/index.ts';
import { connect } from '../client/index.ts';
import { exactly, type Command } from '../command/command.ts';
import { formatFlag } from '../command/common-flags.ts';
import { printList, type Column } from '../format/list.ts';

interface WireRevision {
  readonly ID: string;
  readonly Revision: number;
  readonly CreatedAt: string;
  readonly Services: readonly string[];
}

/** The contents of a name that are kept: the last one is what the name stands for. */
export function revisionsCommand(kind: FileKind): Command {
  return {
    usage: `[OPTIONS] ${kind.toUpperCase()}`,
    flags: [formatFlag],
    args: exactly(1),
    async run(context, [reference = ''], flags) {
      const path = `/${kind}s/${encodeURIComponent(reference)}/revisions`;
      await printList(context.out, {
        rows: await connect(context).get<WireRevision[]>(path),
        columns: columnsAt(context.clock.nowMs()),
        table: ['ID', 'Revision', 'CreatedAt', 'Services'],
        format: flags.get(formatFlag),
      });
    },
  };
}

function columnsAt(nowMs: number): Readonly<Record<string, Column<WireRevision>>> {
  return {
    ID: { header: 'ID', value: ({ ID }) => ID },
    Revision: { header: 'REVISION', value: ({ Revision }) => Revision },
    CreatedAt: {
      header: 'CREATED',
      value: ({ CreatedAt }) => `${humanDuration(nowMs - Date.parse(CreatedAt))} ago`,
    },
    Services: { header: 'SERVICES', value: ({ Services }) => Services.join(', ') },
  };
}
