import { connect } from '../../client/index.ts';
import type { WireSwarm } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { fetchUnlockKey, printUnlockCommand } from '../../swarm/unlock-key.ts';
import { swarmSpec } from '../../../types/index.ts';

const quiet = bool('quiet', 'Only display token', { short: 'q' });
const rotate = bool('rotate', 'Rotate unlock key');

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [quiet, rotate],
  args: noArgs,
  async run(context, _args, flags) {
    const client = connect(context);
    if (flags.get(rotate)) {
      const swarm = await client.get<WireSwarm>('/swarm');
      if (!swarmSpec.decode(swarm.Spec, 'Spec').encryption.autoLockManagers) {
        throw commandError('cannot rotate because autolock is not turned on');
      }
      await client.json('POST', '/swarm/update', {
        query: { version: swarm.Version.Index, rotateManagerUnlockKey: true },
        body: swarm.Spec,
      });
      if (!flags.get(quiet)) context.out.line('Successfully rotated manager unlock key.\n');
    }
    const key = await fetchUnlockKey(client);
    if (flags.get(quiet)) context.out.line(key);
    else printUnlockCommand(context.out, key);
  },
};
