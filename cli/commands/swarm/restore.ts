import { openInput } from '../../image/input.ts';
import type { Client } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { bool, type FlagValues } from '../../command/flags.ts';
import { daemonFlags } from '../../swarm/daemon-flags.ts';
import { localDaemon } from '../../swarm/local.ts';
import { nodeFlags } from '../../swarm/node-flags.ts';
import { storeFlags, storeOf } from '../../swarm/store-flags.ts';
import { passphraseFile, passphraseHeaders } from '../../swarm/passphrase.ts';

const force = bool(
  'force',
  'In a swarm that runs: replace its services, node labels and settings by those of the backup',
  { short: 'f' },
);

interface Restored {
  readonly ClusterID?: string;
  readonly NodeID?: string;
  readonly Services?: number;
  readonly Nodes?: number;
  readonly Created?: number;
  readonly Updated?: number;
  readonly Removed?: number;
}

export const command: Command = {
  usage: '[OPTIONS] FILE',
  flags: [force, passphraseFile, ...Object.values(nodeFlags), ...storeFlags, ...daemonFlags],
  args: exactly(1),
  long:
    'On a host outside of any swarm: it becomes the first manager of the swarm as it was when the ' +
    'backup was made. Other nodes come back by themselves when --advertise-addr is an address ' +
    'that they know a manager by; what they run goes on. Make sure that no manager of the old ' +
    'swarm still runs.',
  async run(context, [path = ''], flags) {
    const store = await storeOf(flags);
    const headers = {
      ...(await passphraseHeaders(flags)),
      ...(store === undefined ? {} : { 'X-Swarm-Store': base64url(store) }),
    };
    const upload = await openInput(context, path);
    const { client } = await localDaemon(context, flags);
    const answer = await client.json<Restored>('POST', '/swarm/restore', {
      query: queryOf(flags),
      upload,
      headers: { ...headers, 'Content-Type': 'application/vnd.ts-swarm.backup' },
    });
    context.out.line(await sentences(client, answer));
  },
};

function base64url(document: object): string {
  return Buffer.from(JSON.stringify(document)).toString('base64url');
}

function queryOf(flags: FlagValues) {
  return {
    force: flags.get(force) === true ? 1 : undefined,
    listenAddr: flags.get(nodeFlags.listenAddr),
    advertiseAddr: flags.get(nodeFlags.advertiseAddr),
    dataPathAddr: flags.get(nodeFlags.dataPathAddr),
    availability: flags.get(nodeFlags.availability),
  };
}

async function sentences(client: Client, answer: Restored): Promise<string> {
  if (answer.NodeID === undefined) {
    const { Created: created = 0, Updated: updated = 0, Removed: removed = 0 } = answer;
    return (
      `Restored into the running swarm: ${created} services created, ${updated} services, nodes ` +
      `and settings changed, ${removed} services removed.`
    );
  }
  const info = await client.get<{ Swarm?: { NodeAddr?: string } }>('/info');
  return (
    `Swarm ${answer.ClusterID} restored: current node (${answer.NodeID}) is now its manager.\n` +
    `Services: ${answer.Services}. Nodes of the backup that are expected back at ` +
    `${info.Swarm?.NodeAddr}: ${answer.Nodes}; remove with "ts-swarm node rm" those that are gone ` +
    'for good.'
  );
}
