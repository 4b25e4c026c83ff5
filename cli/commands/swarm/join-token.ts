import { connect } from '../../client/index.ts';
import type { WireSwarm } from '../../client/wire.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { printJoinCommand } from '../../swarm/join-command.ts';

const quiet = bool('quiet', 'Only display token', { short: 'q' });
const rotate = bool('rotate', 'Rotate join token');

export const command: Command = {
  usage: '[OPTIONS] (worker|manager)',
  flags: [quiet, rotate],
  args: exactly(1),
  async run(context, [role = ''], flags) {
    if (role !== 'worker' && role !== 'manager') {
      throw commandError(`unknown role ${role}: use worker or manager`);
    }
    const client = connect(context);
    let swarm = await client.get<WireSwarm>('/swarm');
    if (flags.get(rotate)) {
      await client.json('POST', '/swarm/update', {
        query: {
          version: swarm.Version.Index,
          rotateWorkerToken: role === 'worker',
          rotateManagerToken: role === 'manager',
        },
        body: swarm.Spec,
      });
      if (!flags.get(quiet)) context.out.line(`Successfully rotated ${role} join token.\n`);
      swarm = await client.get<WireSwarm>('/swarm');
    }
    if (flags.get(quiet)) {
      context.out.line(role === 'worker' ? swarm.JoinTokens.Worker : swarm.JoinTokens.Manager);
      return;
    }
    await printJoinCommand(context.out, client, swarm, role);
  },
};
