/** Makes a container in containerd, and takes everything back when a step fails. */
import { mkdir, rm } from 'node:fs/promises';
import { arch, release } from 'node:os';
import { create, toBinary } from '@bufbuild/protobuf';
import { OptionsSchema } from '../../../gen/containerd/runc_options_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import { checkBindSources } from '../bind-sources.ts';
import type { ContainerConfig } from '../runtime.ts';
import { makeFifo } from '../logs/fifo.ts';
import { checkRemoteLog } from '../logs/remote/shippers.ts';
import type { LogPump } from '../logs/log-pump.ts';
import { ociSpec, type OciSpec } from '../oci/spec.ts';
import { resolveUser, type UserFiles } from '../oci/user.ts';
import { markLayer } from '../container-mark.ts';
import { layersOf, readRootfsFile, type SnapshotMount } from '../rootfs-file.ts';
import { ociBlockIo } from './block-io.ts';
import type { ContainerdClient } from './client.ts';
import { devicesOf } from './devices.ts';
import type { HostFacts } from './host.ts';
import { encodeMeta, json, metaOf, specType } from './meta.ts';
import type { RuntimePaths } from './paths.ts';
import type { SeccompCache } from './seccomp-cache.ts';
import type { ShimGroups, ShimTicket } from './shim-groups.ts';
import { joinShim, shimListens, shimSaid } from './shim-program.ts';

export interface CreationContext {
  readonly client: ContainerdClient;
  readonly paths: RuntimePaths;
  readonly host: HostFacts;
  readonly snapshotter: string;
  readonly ociRuntime: 'crun' | 'runc';
  /** The program of it that containerd calls: a name or a path. */
  readonly ociBinary: string;
  /** containerd's name of the runtime, or the path of a program in the place of its shim. */
  readonly shim: string;
  readonly groups: ShimGroups;
  readonly users: UserFilesCache;
  /** How the OCI runtime reaches a path that this process sees. */
  readonly fromRuntime: (path: string) => string;
  readonly seccomp: SeccompCache;
  /** Starts to read the container's pipes. */
  readonly openLog: (config: ContainerConfig) => LogPump;
}

interface Created {
  readonly pid: number;
  readonly spec: OciSpec;
  readonly shimGroup: string;
  readonly pump: LogPump | undefined;
}

export function snapshotKey(id: string): string {
  return `container-${id}`;
}

/** Of a layer that outlives its containers. */
export function layerKey(key: string): string {
  return `layer-${key}`;
}

export async function createContainer(
  config: ContainerConfig,
  context: CreationContext,
  signal?: AbortSignal,
): Promise<Created> {
  const { client, paths, snapshotter } = context;
  const { id } = config;
  await checkBindSources(config.mounts);
  await checkRemoteLog(config.log.remote);
  await using undo = new AsyncDisposableStack();
  const options = signal === undefined ? {} : { signal };

  undo.defer(() => rm(paths.data(id), { recursive: true, force: true }));
  undo.defer(() => rm(paths.run(id), { recursive: true, force: true }));
  await mkdir(paths.data(id), { recursive: true, mode: 0o710 });
  const stdio = await makePipes(config, paths);
  // Before the task: the shim's opening of a pipe blocks until somebody reads it.
  const pump = stdio.stdout === '' ? undefined : context.openLog(config);
  undo.defer(() => pump?.close());

  const layer = config.more?.layer;
  if (layer === undefined) undo.defer(() => removeSnapshot(client, snapshotter, id));
  const { mounts } =
    layer === undefined
      ? await client.snapshots.prepare(
          {
            snapshotter,
            key: snapshotKey(id),
            parent: config.image.chainId,
            // The container refers to it, but is made later: garbage may be collected in between.
            labels: { 'containerd.io/gc.root': new Date(0).toISOString() },
          },
          options,
        )
      : await client.snapshots.mounts({ snapshotter, key: layerKey(layer) }, options);
  if (layer === undefined) await markLayer(mounts);
  const ticket = context.groups.join();
  let created = false;
  let said: string | undefined;
  try {
    const spec = await specOf(config, ticket.group, mounts, context);
    undo.defer(() => ignoreMissing(client.containers.delete({ id })));
    await client.containers.create(
      {
        container: {
          id,
          image: config.image.name,
          runtime: { name: context.shim, options: runtimeOptions(context) },
          spec: json(specType, spec),
          snapshotter,
          snapshotKey: layer === undefined ? snapshotKey(id) : layerKey(layer),
          extensions: encodeMeta(metaOf(config)),
        },
      },
      options,
    );
    await joinGroup(id, ticket, paths);
    undo.defer(() => removeTask(client, id));
    const { pid } = await client.tasks.create(
      { containerId: id, rootfs: mounts, ...stdio, terminal: config.tty },
      options,
    );
    if (context.ociRuntime === 'crun') await context.seccomp.learn(id, spec);
    said = await shimSaid(paths, id);
    undo.move();
    created = true;
    return { pid, spec, shimGroup: ticket.group, pump };
  } finally {
    ticket.settle(created, said);
  }
}

/** Where the group has a shim, the container's own need not be started to find it. */
async function joinGroup(id: string, ticket: ShimTicket, paths: RuntimePaths): Promise<void> {
  const said = await ticket.said();
  if (said === undefined) return;
  if (await shimListens(said)) await joinShim(paths, id, said);
  else ticket.lost();
}

async function specOf(
  config: ContainerConfig,
  shimGroup: string,
  mounts: readonly SnapshotMount[],
  context: CreationContext,
): Promise<OciSpec> {
  const files = await context.users.of(config.image.chainId, mounts);
  const { network } = config;
  const spec = ociSpec(config, {
    user: resolveUser(config.user, config.groups, files),
    cgroupsPath: cgroupOf(config, context.paths),
    cgroupVersion: context.host.cgroupVersion,
    swapLimit: context.host.swapLimit,
    shimGroup,
    initPath: context.host.initPath,
    architecture: arch(),
    kernel: release(),
    netnsPath: network.kind === 'path' ? context.fromRuntime(network.path) : undefined,
    devices: await devicesOf(config.more),
    blockIo: await ociBlockIo(config.more?.blockIo ?? {}),
    capabilities: context.host.capabilities,
  });
  return context.ociRuntime === 'crun' ? context.seccomp.apply(spec) : spec;
}

function cgroupOf({ id, more }: ContainerConfig, paths: RuntimePaths): string {
  const parent = more?.cgroupParent ?? '';
  return parent === '' ? paths.cgroup(id) : `/${parent.replace(/^\/+|\/+$/g, '')}/${id}`;
}

async function makePipes(
  config: ContainerConfig,
  paths: RuntimePaths,
): Promise<{ stdin: string; stdout: string; stderr: string }> {
  const { id } = config;
  await mkdir(paths.run(id), { recursive: true, mode: 0o700 });
  const pipe = (stream: string) => {
    makeFifo(paths.fifo(id, stream));
    return paths.fifo(id, stream);
  };
  const stdin = config.openStdin ? pipe('stdin') : '';
  if (config.log.driver === 'none' && !config.more?.attachable) {
    return { stdin, stdout: '', stderr: '' };
  }
  return { stdin, stdout: pipe('stdout'), stderr: config.tty ? '' : pipe('stderr') };
}

function runtimeOptions(context: CreationContext): { typeUrl: string; value: Uint8Array } {
  const options = create(OptionsSchema, {
    binaryName: context.ociBinary,
    root: context.paths.ociRoot,
    systemdCgroup: false,
  });
  return { typeUrl: OptionsSchema.typeName, value: toBinary(OptionsSchema, options) };
}

async function removeTask(client: ContainerdClient, id: string): Promise<void> {
  await ignoreMissing(client.tasks.kill({ containerId: id, signal: 9, all: true }));
  await ignoreMissing(client.tasks.wait({ containerId: id }, { timeoutMs: 10_000 }));
  await ignoreMissing(client.tasks.delete({ containerId: id }));
}

export async function removeSnapshot(
  client: ContainerdClient,
  snapshotter: string,
  id: string,
): Promise<void> {
  await ignoreMissing(client.snapshots.remove({ snapshotter, key: snapshotKey(id) }));
}

export async function ignoreMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof SwarmError) || error.code !== 'not-found') throw error;
  }
}

/** /etc/passwd and /etc/group of images, read once each: an image does not change. */
export class UserFilesCache {
  readonly #sizeMax: number;
  readonly #byChain = new Map<string, Promise<UserFiles>>();

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  of(chainId: string, mounts: readonly SnapshotMount[]): Promise<UserFiles> {
    const known = this.#byChain.get(chainId);
    if (known !== undefined) return known;
    const files = readUserFiles(mounts);
    this.#byChain.set(chainId, files);
    files.catch(() => this.#byChain.delete(chainId));
    const oldest = this.#byChain.keys().next().value;
    if (this.#byChain.size > this.#sizeMax && oldest !== undefined) this.#byChain.delete(oldest);
    return files;
  }
}

async function readUserFiles(mounts: readonly SnapshotMount[]): Promise<UserFiles> {
  const layers = layersOf(mounts);
  const [passwd, group] = await Promise.all([
    readRootfsFile(layers, 'etc/passwd'),
    readRootfsFile(layers, 'etc/group'),
  ]);
  return { passwd, group };
}
