import { connect } from '../client/index.ts';
import { atLeast, type Command } from '../command/command.ts';
import { alignColumns } from '../format/table.ts';
import { findTarget, type TargetKind } from './target.ts';

interface Processes {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

export function topCommand(kind: TargetKind): Command {
  return {
    usage: `${kind === 'task' ? 'TASK' : 'CONTAINER'} [ps OPTIONS]`,
    flags: [],
    args: atLeast(1),
    passThrough: true,
    async run(context, [reference = '', ...psArgs]) {
      const client = connect(context);
      const { path } = await findTarget(client, reference, kind);
      const { Titles, Processes: rows } = await client.get<Processes>(`${path}/top`, {
        ps_args: psArgs.length === 0 ? undefined : psArgs.join(' '),
      });
      for (const line of alignColumns([Titles, ...rows].map((row) => row.join('\t')))) {
        context.out.line(line);
      }
    },
  };
}
