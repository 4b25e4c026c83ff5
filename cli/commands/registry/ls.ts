import { humanDuration } from '../../../lib/units.ts';
import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { formatFlag } from '../../command/common-flags.ts';
import { printList, type Column } from '../../format/list.ts';

interface WireLogin {
  readonly ServerAddress: string;
  readonly Username: string;
  readonly UpdatedAt: string;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [formatFlag],
  args: noArgs,
  async run(context, _args, flags) {
    await printList(context.out, {
      rows: await connect(context).get<WireLogin[]>('/registries'),
      columns: columnsAt(context.clock.nowMs()),
      table: ['Registry', 'Username', 'UpdatedAt'],
      format: flags.get(formatFlag),
    });
  },
};

function columnsAt(nowMs: number): Readonly<Record<string, Column<WireLogin>>> {
  return {
    Registry: { header: 'REGISTRY', value: ({ ServerAddress }) => ServerAddress },
    Username: { header: 'USERNAME', value: ({ Username }) => Username },
    UpdatedAt: {
      header: 'UPDATED',
      value: ({ UpdatedAt }) => `${humanDuration(nowMs - Date.parse(UpdatedAt))} ago`,
    },
  };
}
