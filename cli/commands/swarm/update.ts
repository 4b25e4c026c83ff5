import { connect } from '../../client/index.ts';
import type { WireSwarm } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { usageError } from '../../command/errors.ts';
import { changedSpec, clusterFlags } from '../../swarm/cluster-flags.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: clusterFlags,
  args: noArgs,
  async run(context, _args, flags) {
    if (!clusterFlags.some((flag) => flags.has(flag))) {
      throw usageError("nothing to update\nSee 'ts-swarm swarm update --help'.");
    }
    const client = connect(context);
    const swarm = await client.get<WireSwarm>('/swarm');
    await client.json('POST', '/swarm/update', {
      query: {
        version: swarm.Version.Index,
        rotateWorkerToken: false,
        rotateManagerToken: false,
        rotateManagerUnlockKey: false,
      },
      body: changedSpec(swarm.Spec, flags),
    });
    context.out.line('Swarm updated.');
  },
};
