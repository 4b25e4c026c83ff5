import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { readUnlockKey } from '../../swarm/unlock-key.ts';

export const command: Command = {
  usage: '',
  flags: [],
  args: noArgs,
  long: 'Reads the key from the terminal, or from the standard input.',
  async run(context) {
    const client = connect(context);
    const { Swarm: swarm } = await client.get<{ Swarm: { LocalNodeState: string } }>('/info');
    const state = swarm.LocalNodeState;
    if (state === 'inactive') throw commandError('This node is not part of a swarm');
    if (state !== 'locked') throw commandError('swarm is not locked');
    const key = await readUnlockKey(context);
    await client.json('POST', '/swarm/unlock', { body: { UnlockKey: key } });
  },
};
