import { connect, defaultRunRoot, socketOf, type Client } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { text } from '../../command/flags.ts';
import { removeTraces, stopDaemon } from '../../system/traces.ts';
import { ensureDaemon } from '../../swarm/daemon-process.ts';

const defaultDataRoot = '/var/lib/ts-swarm';

const dataRoot = text('data-root', 'Where the daemon keeps its state', {
  shownDefault: defaultDataRoot,
});
const runRoot = text('run-root', 'Where the daemon keeps its socket and what dies with it', {
  shownDefault: defaultRunRoot,
});

const builtinNetworks: ReadonlySet<string> = new Set(['bridge', 'host', 'none']);

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [forceFlag, dataRoot, runRoot],
  args: noArgs,
  long:
    'Leaves the swarm, removes all containers, networks, images and volumes of this host, stops its ' +
    'daemon, and takes away what it put into the system. The program itself stays: remove it as it came.',
  async run(context, _args, flags) {
    const roots = {
      dataRoot: flags.get(dataRoot) ?? defaultDataRoot,
      runRoot: flags.get(runRoot) ?? defaultRunRoot,
    };
    const question =
      'WARNING! This will take this host out of its swarm and remove all containers, networks, ' +
      `images and volumes of the daemon in ${roots.dataRoot}.`;
    if (flags.get(forceFlag) !== true && !(await isConfirmed(context, question))) return;
    const host = context.host ?? socketOf(roots.runRoot);
    // What a daemon that is gone has left behind, the next one finds and knows how to end.
    await ensureDaemon({
      host,
      runRoot: roots.runRoot,
      argv: [`--data-root=${roots.dataRoot}`, `--run-root=${roots.runRoot}`],
      clock: context.clock,
    });
    await removeAll(connect({ ...context, host }));
    await stopDaemon(roots, context.clock);
    for (const kept of await removeTraces(roots)) context.err.line(kept);
    context.out.line('Nothing of ts-swarm runs on this host any more.');
  },
};

interface WireInfo {
  readonly Swarm?: { readonly LocalNodeState?: string };
}

interface WireNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly ConfigOnly?: boolean;
}

async function removeAll(client: Client): Promise<void> {
  const { Swarm } = await client.get<WireInfo>('/info');
  if ((Swarm?.LocalNodeState ?? 'inactive') !== 'inactive') {
    await client.json('POST', '/swarm/leave', { query: { force: 1 } });
  }
  const containers = await client.get<{ readonly Id: string }[]>('/containers/json', { all: 1 });
  for (const { Id } of containers) {
    await client.json('DELETE', `/containers/${Id}`, { query: { force: 1, v: 1 } });
  }
  const networks = await client.get<WireNetwork[]>('/networks');
  // A configuration stays as long as there is a network that was made by it.
  const last = ({ ConfigOnly }: WireNetwork) => Number(ConfigOnly === true);
  for (const { Id, Name } of networks.toSorted((a, b) => last(a) - last(b))) {
    if (!builtinNetworks.has(Name)) await client.json('DELETE', `/networks/${Id}`);
  }
}
