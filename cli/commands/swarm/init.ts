import type { WireSwarm } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { bool, list, unsigned, type FlagValues } from '../../command/flags.ts';
import { autolock, changedSpec, clusterFlags } from '../../swarm/cluster-flags.ts';
import { daemonFlags } from '../../swarm/daemon-flags.ts';
import { printJoinCommand } from '../../swarm/join-command.ts';
import { localDaemon } from '../../swarm/local.ts';
import { nodeFlags } from '../../swarm/node-flags.ts';
import { resumed } from '../../swarm/resumed.ts';
import { storeFlags, storeOf } from '../../swarm/store-flags.ts';
import { fetchUnlockKey, printUnlockCommand } from '../../swarm/unlock-key.ts';

const dataPathPort = unsigned(
  'data-path-port',
  'Port number to use for data path traffic (1024 - 49151; 0: the default, 4789)',
);
const addressPools = list('default-addr-pool', 'Default address pool in CIDR format', {
  word: 'ipNetSlice',
});
const maskLength = unsigned(
  'default-addr-pool-mask-length',
  'Default address pool subnet mask length',
  {
    shownDefault: '24',
  },
);
const forceNewCluster = bool('force-new-cluster', 'Force create a new cluster from current state');

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [
    ...Object.values(nodeFlags),
    dataPathPort,
    addressPools,
    maskLength,
    forceNewCluster,
    ...storeFlags,
    ...clusterFlags,
    ...daemonFlags,
  ],
  args: noArgs,
  long: 'Starts the daemon of this host where none answers, with the flags of "ts-swarm daemon".',
  async run(context, _args, flags) {
    const store = await storeOf(flags);
    const { client, started } = await localDaemon(context, flags);
    if (started && !flags.get(forceNewCluster) && (await resumed(context, client))) return;
    const nodeId = await client.json<string>('POST', '/swarm/init', {
      body: { ...requestBody(flags), ...(store === undefined ? {} : { Store: store }) },
    });
    const swarm = await client.get<WireSwarm>('/swarm');
    context.out.line(`Swarm initialized: current node (${nodeId}) is now a manager.\n`);
    await printJoinCommand(context.out, client, swarm, 'worker');
    context.out.line(
      `To add a manager to this swarm, run 'ts-swarm join-token manager' ` +
        `and follow the instructions.\n`,
    );
    if (flags.get(autolock)) printUnlockCommand(context.out, await fetchUnlockKey(client));
  },
};

function requestBody(flags: FlagValues): object {
  const pools = (flags.get(addressPools) ?? []).flatMap((value) => value.split(','));
  return {
    ListenAddr: flags.get(nodeFlags.listenAddr) ?? '0.0.0.0:2377',
    AdvertiseAddr: flags.get(nodeFlags.advertiseAddr) ?? '',
    DataPathAddr: flags.get(nodeFlags.dataPathAddr) ?? '',
    DataPathPort: flags.get(dataPathPort) ?? 0,
    DefaultAddrPool: pools.length === 0 ? null : pools,
    SubnetSize: flags.get(maskLength) ?? 0,
    ForceNewCluster: flags.get(forceNewCluster) ?? false,
    AutoLockManagers: flags.get(autolock) ?? false,
    Availability: flags.get(nodeFlags.availability) ?? 'active',
    Spec: changedSpec({}, flags),
  };
}
