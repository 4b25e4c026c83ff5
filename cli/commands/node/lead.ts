import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { findNode } from '../../node/change.ts';

export const command: Command = {
  usage: 'NODE',
  flags: [],
  args: exactly(1),
  async run(context, [reference = '']) {
    const client = connect(context);
    const { ID } = await findNode(client, reference);
    await client.json('POST', `/nodes/${ID}/lead`);
    context.out.line(`Node ${reference} leads the swarm.`);
  },
};
