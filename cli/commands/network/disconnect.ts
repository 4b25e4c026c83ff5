import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { bool } from '../../command/flags.ts';

const force = bool('force', 'Force the container to disconnect from a network', { short: 'f' });

export const command: Command = {
  usage: '[OPTIONS] NETWORK CONTAINER',
  flags: [force],
  args: exactly(2),
  async run(context, [network = '', container = ''], flags) {
    await connect(context).json('POST', `/networks/${encodeURIComponent(network)}/disconnect`, {
      body: { Container: container, Force: flags.get(force) ?? false },
    });
  },
};
