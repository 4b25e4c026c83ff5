/** The words that tell how another host joins. */
import type { Client } from '../client/index.ts';
import type { WireInfo, WireNode, WireSwarm } from '../client/wire.ts';
import type { Output } from '../format/output.ts';
import { SwarmError } from '../../lib/errors.ts';

type Role = 'worker' | 'manager';

/** Where other hosts reach this manager's cluster port. */
async function managerAddress(client: Client): Promise<string> {
  const info = await client.get<WireInfo>('/info');
  const nodeId = info.Swarm?.NodeID ?? '';
  const node = await client.get<WireNode>(`/nodes/${nodeId}`);
  const address = node.ManagerStatus?.Addr;
  if (address === undefined) {
    throw new SwarmError(
      'failed-precondition',
      'this node is not a manager, so it knows no join token: ask a manager',
    );
  }
  return address;
}

export async function printJoinCommand(
  out: Output,
  client: Client,
  swarm: WireSwarm,
  role: Role,
): Promise<void> {
  const token = role === 'worker' ? swarm.JoinTokens.Worker : swarm.JoinTokens.Manager;
  const address = await managerAddress(client);
  out.line(`To add a ${role} to this swarm, run the following command:\n`);
  out.line(`    ts-swarm join --token ${token} ${address}\n`);
}
