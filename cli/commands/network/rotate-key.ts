import { connect } from '../../client/index.ts';
import type { WireSwarm } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';

export const command: Command = {
  usage: '',
  flags: [],
  args: noArgs,
  async run(context) {
    const client = connect(context);
    const swarm = await client.get<WireSwarm>('/swarm');
    await client.json('POST', '/swarm/update', {
      query: { version: swarm.Version.Index, rotateNetworkKeys: true },
      body: swarm.Spec,
    });
    context.out.line('Every node makes itself a new key for encrypted networks.');
  },
};
