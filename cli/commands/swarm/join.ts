import type { WireInfo } from '../../client/wire.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { text } from '../../command/flags.ts';
import { daemonFlags } from '../../swarm/daemon-flags.ts';
import { localDaemon } from '../../swarm/local.ts';
import { nodeFlags } from '../../swarm/node-flags.ts';
import { resumed } from '../../swarm/resumed.ts';

const token = text('token', 'Token for entry into the swarm');

export const command: Command = {
  usage: '[OPTIONS] HOST:PORT',
  flags: [token, ...Object.values(nodeFlags), ...daemonFlags],
  args: exactly(1),
  long: 'Starts the daemon of this host where none answers, with the flags of "ts-swarm daemon".',
  async run(context, [remote = ''], flags) {
    const joinToken = flags.get(token);
    if (joinToken === undefined) {
      throw commandError(
        'a join token is needed: "ts-swarm join-token worker" on a manager prints the whole command',
      );
    }
    const { client, started } = await localDaemon(context, flags);
    if (started && (await resumed(context, client, remote))) return;
    await client.json('POST', '/swarm/join', {
      body: {
        ListenAddr: flags.get(nodeFlags.listenAddr) ?? '0.0.0.0:2377',
        AdvertiseAddr: flags.get(nodeFlags.advertiseAddr) ?? '',
        DataPathAddr: flags.get(nodeFlags.dataPathAddr) ?? '',
        RemoteAddrs: [remote],
        JoinToken: joinToken,
        Availability: flags.get(nodeFlags.availability) ?? 'active',
      },
    });
    const info = await client.get<WireInfo>('/info');
    const role = info.Swarm?.ControlAvailable === true ? 'manager' : 'worker';
    context.out.line(`This node joined a swarm as a ${role}.`);
  },
};
