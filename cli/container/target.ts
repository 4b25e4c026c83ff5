/** What a reference means: a container, or a task of the swarm, wherever it runs. */
import { SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';

export type TargetKind = 'container' | 'task' | 'any';

interface ContainerDocument {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly Restarting: boolean;
    readonly ExitCode: number;
  };
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly HostConfig: { readonly AutoRemove: boolean };
  readonly NetworkSettings?: {
    readonly Ports?: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
    > | null;
  };
}

interface Target {
  /** What verbs are appended to: "/containers/web", "/tasks/web.2". */
  readonly path: string;
  readonly container: ContainerDocument;
  readonly execPath: (id: string) => string;
}

/** Throws what the daemon says of it. A name that is both means the container. */
export async function findTarget(
  client: Client,
  reference: string,
  kind: TargetKind,
): Promise<Target> {
  if (kind === 'task') return taskTarget(client, reference);
  const path = `/containers/${encodeURIComponent(reference)}`;
  try {
    const container = await client.get<ContainerDocument>(`${path}/json`);
    return { path, container, execPath: (id) => `/exec/${id}` };
  } catch (error) {
    if (kind === 'container' || SwarmError.from(error).code !== 'not-found') throw error;
    const task = await taskOr(client, reference);
    if (task === undefined) throw error;
    return task;
  }
}

async function taskTarget(client: Client, reference: string): Promise<Target> {
  const path = `/tasks/${encodeURIComponent(reference)}`;
  const container = await client.get<ContainerDocument>(`${path}/container`);
  return { path, container, execPath: (id) => `${path}/exec/${id}` };
}

/** Undefined where there is no such task, or no swarm that could know of it. */
async function taskOr(client: Client, reference: string): Promise<Target | undefined> {
  const path = `/tasks/${encodeURIComponent(reference)}`;
  try {
    await client.get(path);
  } catch (error) {
    if (['not-found', 'unavailable'].includes(SwarmError.from(error).code)) return undefined;
    throw error;
  }
  return taskTarget(client, reference);
}
