/** Finds what containerd knows of our containers, and clears away what belongs to none. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Status } from '../../../gen/containerd/task_pb.js';
import { errnoOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { OciProcess } from '../oci/spec.ts';
import type { ContainerdClient } from './client.ts';
import { removeSnapshot, snapshotKey } from './creation.ts';
import { decodeContainer, type Meta } from './meta.ts';
import type { RuntimePaths } from './paths.ts';

interface FoundTask {
  readonly state: 'created' | 'running' | 'paused' | 'stopped';
  readonly pid: number;
  readonly exitCode: number;
  readonly atMs: number;
}

export interface FoundContainer {
  readonly id: string;
  readonly meta: Meta;
  readonly process: OciProcess;
  readonly shimGroup: string;
  readonly cgroupsPath: string;
  /** Absent: the process is gone, and so is its exit code. */
  readonly task: FoundTask | undefined;
}

const states: Readonly<Record<number, FoundTask['state']>> = {
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'paused',
  [Status.STOPPED]: 'stopped',
};

export async function findContainers(
  client: ContainerdClient,
  nowMs: number,
): Promise<readonly FoundContainer[]> {
  const [{ containers }, { tasks }] = await Promise.all([
    client.containers.list({}),
    client.tasks.list({}),
  ]);
  const taskById = new Map(tasks.map((task) => [task.id, task]));
  return containers.flatMap((container) => {
    const decoded = decodeContainer(container);
    if (decoded === undefined) return [];
    const task = taskById.get(container.id);
    const state = task === undefined ? undefined : states[task.status];
    const found =
      task === undefined || state === undefined
        ? undefined
        : {
            state,
            pid: task.pid,
            exitCode: task.exitStatus,
            atMs: task.exitedAt === undefined ? nowMs : timestampMs(task.exitedAt),
          };
    return [{ id: container.id, ...decoded, task: found }];
  });
}

/** Snapshots and folders left by a daemon that ended while it made or removed a container. */
export async function removeOrphans(
  known: ReadonlySet<string>,
  context: {
    readonly client: ContainerdClient;
    readonly paths: RuntimePaths;
    readonly snapshotter: string;
  },
  log: Logger,
): Promise<void> {
  const { client, paths, snapshotter } = context;
  const prefix = snapshotKey('');
  const orphans: string[] = [];
  for await (const { info } of client.snapshots.list({ snapshotter })) {
    for (const { name } of info) {
      const id = name.slice(prefix.length);
      if (name.startsWith(prefix) && !known.has(id)) orphans.push(id);
    }
  }
  for (const id of orphans) {
    log.info('the snapshot of no container is removed', { containerId: id });
    await removeSnapshot(client, snapshotter, id);
  }
  for (const folder of [paths.containersData, paths.containersRun]) {
    for (const id of await entries(folder)) {
      if (!known.has(id)) await rm(join(folder, id), { recursive: true, force: true });
    }
  }
}

async function entries(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
