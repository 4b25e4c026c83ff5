import { connect } from '../../client/index.ts';
import type { WireSwarm } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { usageError } from '../../command/errors.ts';
import { autolock, changedSpec, clusterFlags } from '../../swarm/cluster-flags.ts';
import { fetchUnlockKey, printUnlockCommand } from '../../swarm/unlock-key.ts';
import { swarmSpec } from '../../../types/index.ts';

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
    const wasLocked = swarmSpec.decode(swarm.Spec, 'Spec').encryption.autoLockManagers;
    if (flags.get(autolock) !== true || wasLocked) return;
    context.out.line('');
    printUnlockCommand(context.out, await fetchUnlockKey(client));
  },
};
