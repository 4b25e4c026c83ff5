/** The containers of this node's tasks, seen as Docker shows them. */
import {
  containerDocument,
  hostDocument,
  type AssignedTask,
  type DeviceMapping,
  type TaskStatus,
} from '../../types/index.ts';
import { taskContainerHexId } from '../runtime/hex-id.ts';
import type { ContainerInfo } from '../runtime/runtime.ts';
import type { Volumes } from '../volume/index.ts';
import type { PreparedTask } from '../task/index.ts';
import { completedHost } from './merge.ts';
import { neverRun, type BoundPort, type ContainerState, type ContainerView } from './view.ts';

export interface TaskContainer {
  readonly containerId: string;
  readonly task: AssignedTask;
  readonly status: TaskStatus;
  readonly prepared: PreparedTask | undefined;
}

export function taskView(
  { containerId, task, status, prepared }: TaskContainer,
  info: ContainerInfo,
  facts: {
    readonly logPath: string;
    readonly cgroupVersion: 1 | 2;
    readonly execIds: readonly string[];
    readonly volumes: Pick<Volumes, 'viewsOf'>;
  },
): ContainerView {
  const container = prepared?.container;
  const spec = task.spec.container;
  const config = {
    ...containerDocument.decode({}, ''),
    hostname: container?.hostname ?? '',
    user: container?.user ?? '',
    attachStdout: true,
    attachStderr: true,
    tty: container?.tty ?? false,
    openStdin: container?.openStdin ?? false,
    env: container?.env ?? null,
    cmd: container?.argv ?? null,
    image: spec?.image ?? '',
    workingDir: container?.workdir ?? '',
    labels: container?.labels ?? {},
    ...(container === undefined ? {} : { stopSignal: container.stopSignal }),
  };
  const host = {
    ...hostDocument.decode({}, ''),
    networkMode: prepared?.networkMode ?? 'bridge',
    readonlyRootfs: container?.readOnlyRootfs ?? false,
    capAdd: container?.capabilityAdd ?? null,
    capDrop: container?.capabilityDrop ?? null,
    memory: container?.resources.limits?.memoryBytes ?? 0,
    nanoCpus: container?.resources.limits?.nanoCpus ?? 0,
    mounts: container?.mounts ?? [],
    init: container?.init ?? false,
    privileged: container?.more?.privileged ?? false,
    devices: container?.more?.devices?.map(deviceDocument) ?? null,
  };
  return {
    record: {
      id: taskContainerHexId(containerId),
      name: containerId,
      createdAtMs: status.atMs,
      config,
      host: completedHost(host, facts.cgroupVersion),
      imageId: prepared?.imageId ?? '',
      rootfs: container?.image ?? { name: '', chainId: '' },
      argv: container?.argv ?? [],
      networks: [],
    },
    state: stateOf(info, status),
    runtimeId: containerId,
    ports: (status.ports ?? []).map(portOf),
    logPath: facts.logPath,
    networks: [],
    files: {},
    mounts: facts.volumes.viewsOf(containerId, container?.mounts ?? []),
    execIds: facts.execIds,
    taskId: task.id,
  };
}

function stateOf({ state, pid, exit }: ContainerInfo, status: TaskStatus): ContainerState {
  return {
    ...neverRun,
    status: state,
    pid,
    startedAtMs: state === 'created' ? 0 : status.atMs,
    ...(exit === undefined
      ? {}
      : { exitCode: exit.exitCode, oomKilled: exit.oomKilled, finishedAtMs: exit.atMs }),
  };
}

function deviceDocument({ pathOnHost, pathInContainer, permissions }: DeviceMapping) {
  return { pathOnHost, pathInContainer, cgroupPermissions: permissions };
}

function portOf(port: NonNullable<TaskStatus['ports']>[number]): BoundPort {
  const { targetPort, protocol, publishedPort } = port;
  return {
    containerPort: targetPort,
    protocol,
    ...(publishedPort === undefined ? {} : { hostIp: '0.0.0.0', hostPort: publishedPort }),
  };
}
