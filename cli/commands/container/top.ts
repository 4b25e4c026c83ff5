import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { containerPath } from '../../container/verb.ts';
import { alignColumns } from '../../format/table.ts';

interface Processes {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[];
}

export const command: Command = {
  usage: 'CONTAINER [ps OPTIONS]',
  flags: [],
  args: atLeast(1),
  passThrough: true,
  async run(context, [reference = '', ...psArgs]) {
    const { Titles, Processes: rows } = await connect(context).get<Processes>(
      `${containerPath(reference)}/top`,
      { ps_args: psArgs.length === 0 ? undefined : psArgs.join(' ') },
    );
    for (const line of alignColumns([Titles, ...rows].map((row) => row.join('\t')))) {
      context.out.line(line);
    }
  },
};
