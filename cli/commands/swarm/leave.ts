import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { bool } from '../../command/flags.ts';

const force = bool('force', 'Force this node to leave the swarm, ignoring warnings', {
  short: 'f',
});

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [force],
  args: noArgs,
  async run(context, _args, flags) {
    await connect(context).json('POST', '/swarm/leave', {
      query: flags.get(force) ? { force: 1 } : {},
    });
    context.out.line('Node left the swarm.');
  },
};
