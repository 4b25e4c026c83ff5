/** Puts the containerd adapter together: containerd itself, the connection to it, the runtime. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { SwarmError } from '../../../lib/errors.ts';
import { makeMemoryFolder, releaseMemoryFolder } from '../memory-folder.ts';
import type { Runtime } from '../runtime.ts';
import { connectContainerd, type ContainerdClient } from './client.ts';
import { ContainerdRuntime, type RuntimeDeps } from './containerd-runtime.ts';
import { delegateControllers } from './cgroup-root.ts';
import { cgroupRoot, hostFacts } from './host.ts';
import { mountOciBinary, ociBinary } from './oci-binary.ts';
import { chooseOciRuntime } from './oci-runtime.ts';
import { RuntimePaths } from './paths.ts';
import { writeShimProgram } from './shim-program.ts';
import { ContainerdSupervisor } from './supervisor.ts';

export interface ContainerdOptions {
  /** Absolute. Keeps images, containers and logs. */
  readonly dataRoot: string;
  /** Absolute, short enough for a unix socket below it. Keeps sockets, pipes and pid files. */
  readonly runRoot: string;
  /** The socket of a containerd that somebody else runs; absent: we run our own. */
  readonly address?: string;
}

export interface OpenedContainerd extends AsyncDisposable {
  /** For the image store, which works in the same namespace. */
  readonly client: ContainerdClient;
  readonly snapshotter: string;
  readonly runtime: Runtime;
}

const ownNamespace = 'ts-swarm';

/**
 * Starts or adopts containerd, chooses the OCI runtime, and adopts the containers that are there.
 * Disposing stops a containerd of our own; containers run on, and the next one adopts them.
 * Throws SwarmError `unavailable` or `failed-precondition`, saying what the host lacks.
 */
export async function openContainerd(
  options: ContainerdOptions,
  deps: RuntimeDeps,
): Promise<OpenedContainerd> {
  const paths = new RuntimePaths(options);
  const host = await hostFacts();
  // Before anything is started, which would only have to move as well.
  if (host.cgroupVersion === 2) await delegateControllers(cgroupRoot, deps.log);
  await mkdir(options.dataRoot, { recursive: true, mode: 0o711 });
  await using opening = new AsyncDisposableStack();
  const hybridMount = options.address === undefined ? host.hybridMount : undefined;
  const supervisor = new ContainerdSupervisor({ paths, hybridMount }, deps);
  const own = options.address === undefined;
  const ociRuntime = await chooseOciRuntime(
    { runRoot: options.runRoot, cgroupParent: paths.cgroupParent, hybridMount },
    deps.log,
  );
  if (own) {
    await makeMemoryFolder(paths.memory, deps.log);
    opening.defer(() => releaseUnlessUsed(paths));
    await mountOciBinary(ociRuntime.name, paths, deps.log);
    opening.defer(() => supervisor.stop());
    await supervisor.ensure();
  }
  const namespace = own ? ownNamespace : `${ownNamespace}-${paths.hash}`;
  const client = opening.use(
    connectContainerd({ socketPath: options.address ?? paths.socket, namespace }),
  );
  const [{ version }, snapshotter, programs] = await Promise.all([
    client.version.version({}),
    chooseSnapshotter(client),
    own ? ownPrograms(ociRuntime.name, paths, supervisor.pid) : foreignPrograms(ociRuntime.name),
  ]);
  const runtime = opening.use(
    new ContainerdRuntime(
      {
        client,
        paths,
        host,
        snapshotter,
        ociRuntime: ociRuntime.name,
        ...programs,
        // containerd may have a mount namespace of its own, where later mounts do not appear.
        fromRuntime: (path) => (own ? `/proc/${process.pid}/root${path}` : path),
        ensureContainerd: async () => {
          if (own) await supervisor.ensure();
        },
        ownsProcesses: own,
        info: {
          containerdVersion: version,
          ociRuntime: ociRuntime.name,
          ociRuntimeVersion: ociRuntime.version,
          cgroupVersion: host.cgroupVersion,
          blockSupport: host.blockSupport,
          cpuLists: host.cpuLists,
          snapshotter,
        },
      },
      deps,
    ),
  );
  await runtime.open();
  const opened = opening.move();
  return {
    client,
    snapshotter,
    runtime,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Containers that run on need what is in it. */
async function releaseUnlessUsed(paths: RuntimePaths): Promise<void> {
  const isUsed = existsSync(paths.containersRun) && readdirSync(paths.containersRun).length > 0;
  if (!isUsed) await releaseMemoryFolder(paths.memory, paths.runRoot);
}

interface Programs {
  readonly ociBinary: string;
  readonly shim: string;
}

async function ownPrograms(name: string, paths: RuntimePaths, pid: number): Promise<Programs> {
  const [ociBinaryPath, shim] = await Promise.all([
    ociBinary(name, paths, pid),
    writeShimProgram(paths),
  ]);
  return { ociBinary: ociBinaryPath, shim };
}

/** A containerd that somebody else runs may not see our files. */
function foreignPrograms(name: string): Programs {
  return { ociBinary: name, shim: 'io.containerd.runc.v2' };
}

/** overlayfs, unless the data root is on a file system that cannot carry it. */
async function chooseSnapshotter(client: ContainerdClient): Promise<string> {
  for (const snapshotter of ['overlayfs', 'native']) {
    try {
      const listing = client.snapshots.list({ snapshotter })[Symbol.asyncIterator]();
      await listing.next();
      await listing.return?.();
      return snapshotter;
    } catch (error) {
      const { code } = SwarmError.from(error);
      if (code !== 'invalid-argument' && code !== 'not-found') throw error;
    }
  }
  throw new SwarmError(
    'failed-precondition',
    'containerd has no snapshotter that works here: the data root needs a file system such as ext4',
  );
}
