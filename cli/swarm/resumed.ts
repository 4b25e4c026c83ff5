/** Of a daemon that this command has just started, on a host that turns out to be in a swarm. */
import type { Client } from '../client/index.ts';
import type { WireInfo } from '../client/wire.ts';
import type { Context } from '../command/context.ts';

const defaultPort = 2377;

/**
 * Whether the host is back in its swarm with the daemon's start alone; says so, if it is. Who types
 * `init` again after a crash wants just that. `remote` is the manager that was to be joined: another
 * swarm's is left to the daemon to refuse.
 */
export async function resumed(
  { out }: Pick<Context, 'out'>,
  client: Client,
  remote?: string,
): Promise<boolean> {
  const { Swarm: swarm } = await client.get<WireInfo>('/info');
  if (swarm === undefined || !isMember(swarm.LocalNodeState)) return false;
  const managers = swarm.RemoteManagers ?? [];
  if (remote !== undefined && !managers.some(({ Addr }) => Addr === withPort(remote))) return false;
  const role = swarm.ControlAvailable === true ? 'manager' : 'worker';
  out.line(
    `This node was in a swarm already, and with its daemon it is back there, as a ${role}; ` +
      'nothing else was done. "ts-swarm leave" would take it out.',
  );
  return true;
}

function isMember(state: string | undefined): boolean {
  return state === 'active' || state === 'pending';
}

function withPort(addr: string): string {
  return /:\d+$/.test(addr) ? addr : `${addr}:${defaultPort}`;
}
