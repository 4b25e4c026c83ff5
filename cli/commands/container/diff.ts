import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { findTarget } from '../../container/target.ts';

interface Change {
  readonly Path: string;
  readonly Kind: number;
}

const letters = ['C', 'A', 'D'];

export const command: Command = {
  usage: 'CONTAINER',
  flags: [],
  args: exactly(1),
  async run(context, [reference = '']) {
    const client = connect(context);
    const { path } = await findTarget(client, reference, 'any');
    const changes = await client.get<readonly Change[] | null>(`${path}/changes`);
    for (const { Path, Kind } of changes ?? []) context.out.line(`${letters[Kind]} ${Path}`);
  },
};
