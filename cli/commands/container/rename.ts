import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { containerPath } from '../../container/verb.ts';

export const command: Command = {
  usage: 'CONTAINER NEW_NAME',
  flags: [],
  args: exactly(2),
  async run(context, [reference = '', name = '']) {
    const client = connect(context);
    await client.json('POST', `${containerPath(reference)}/rename`, { query: { name } });
  },
};
