/** The daemon: one process a host. Wires everything, in the order in which it must start. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiServer, type Backend, type ListenOptions } from '../api/index.ts';
import { realClock as clock } from '../lib/clock.ts';
import { messageOf, SwarmError } from '../lib/errors.ts';
import { makeFoldersSync } from '../lib/folders.ts';
import type { Logger } from '../lib/log.ts';
import { Metrics } from '../lib/metrics.ts';
import { systemRandom as random } from '../lib/random.ts';
import { cdiFolders, NodeDevices } from '../worker/device/index.ts';
import { explainedByKernel } from '../worker/doctor/index.ts';
import { TaskRunner } from '../worker/executor/index.ts';
import { Builder, type BuildNetworks } from '../worker/build/index.ts';
import { dockerPorts } from '../worker/container/index.ts';
import { createImages } from '../worker/image/index.ts';
import type { Images } from '../worker/image/images.ts';
import { createNetwork, KernelNews } from '../worker/network/index.ts';
import { openContainerd } from '../worker/runtime/index.ts';
import { taskGauge } from '../worker/usage/index.ts';
import { openVolumes, prepareVolumes } from '../worker/volume/index.ts';
import { askForPlace } from './attachments.ts';
import { openCsi } from './cluster-volumes.ts';
import { nodeContainers } from './containers.ts';
import { newDoctor } from './doctor.ts';
import { readHostFacts } from './host-facts.ts';
import { createLogger } from './logging.ts';
import { serveMetrics } from './metrics-server.ts';
import { repairCount, stepTimes, watchProcess, watchSwarm } from './metrics.ts';
import { parseOptions, usage, type DaemonOptions, type TlsFiles } from './options.ts';
import { acquirePidFile } from './pid-file.ts';
import { processMemory, SpareMemory } from './spare-memory.ts';
import { SwarmNode } from './swarm-node.ts';
import { System } from './system.ts';

/** What may take this long at a shutdown is left behind: containers are not concerned. */
const shutdownTimeoutMs = 10_000;

/**
 * Small buffers are cut from blocks of this size, and the last one that is kept keeps its block: of
 * Node's own 64 KiB, that is more of what is long forgotten than of what is needed.
 */
const bufferBlockBytes = 8 * 1024;

/** Runs until a signal comes. Returns the process's exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(usage);
    return 0;
  }
  let options: DaemonOptions;
  let log: Logger;
  try {
    options = parseOptions(argv);
    requireRoot();
    log = createLogger(options);
  } catch (error) {
    process.stderr.write(`ts-swarm daemon: ${messageOf(error)}\n`);
    return 1;
  }
  const stopped = new AbortController();
  Buffer.poolSize = bufferBlockBytes;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stopped.abort(signal));
  }
  try {
    await using daemon = await startDaemon(options, log);
    log.info('daemon is ready', { hosts: daemon.hosts, pid: process.pid });
    using memory = new SpareMemory(processMemory(), { clock, log });
    memory.start();
    await aborted(stopped.signal);
    log.info('daemon is shutting down', { signal: String(stopped.signal.reason) });
    setTimeout(() => {
      log.error('the shutdown took too long');
      process.exit(1);
    }, shutdownTimeoutMs).unref();
  } catch (error) {
    log.error('the daemon has failed', { error });
    process.stderr.write(`ts-swarm daemon: ${messageOf(error)}\n`);
    return 1;
  }
  return 0;
}

interface Daemon extends AsyncDisposable {
  readonly hosts: readonly string[];
}

async function startDaemon(options: DaemonOptions, log: Logger): Promise<Daemon> {
  const { dataRoot, runRoot } = options;
  const tls = options.tls && readTls(options.tls);
  await using starting = new AsyncDisposableStack();
  for (const folder of [dataRoot, runRoot]) {
    makeFoldersSync(folder, 0o711);
    starting.use(acquirePidFile(join(folder, 'daemon.pid')));
  }
  const node = await startContainers(options, log, starting);
  const { csi, images, network, runtime, volumes } = node;
  const host = readHostFacts();
  const common = { clock, random, log };
  const system = new System(options, host, { ...node, csi: csi.drivers, random });
  const containers = nodeContainers(options, host, { ...node, ...common });
  for (const part of [containers.manager, containers.taskEvents]) starting.use(part);
  const builder = starting.use(newBuilder(options, images, containers.lender, log));
  const executor = starting.use(
    new TaskRunner(options, {
      ...node,
      runtime: containers.taskRuntime,
      clusterVolumes: csi.volumes,
      network: containers.taskNetwork,
      attachments: containers.attachments,
      node: () => system,
      onHealth: (id, health) => containers.taskEvents.health(id, health),
      ...common,
    }),
  );
  const metrics = metricsOf(network);
  const swarm = starting.use(
    new SwarmNode(join(dataRoot, 'swarm'), {
      executor,
      network,
      describe: () => system.describe(),
      examine: () => doctor.examine(),
      measure: taskGauge({ executor, runtime, ...common }),
      serveTunnel: (socket) => api.serveManager(socket),
      advertiseAddr: options.advertiseAddr,
      addressNews: starting.use(KernelNews.ofAddresses()),
      managerAddrs: options.managerAddrs,
      onStep: stepTimes(metrics),
      ...common,
    }),
  );
  const doctor = newDoctor(options, { network, swarm, clock, log });
  system.attach({ swarm, executor });
  await startMetrics(options, { metrics, swarm, log, tls }, starting);
  swarm.joinNetworks();
  containers.attach(executor, (request) => askForPlace(swarm, request, clock));
  await containers.manager.open();
  await executor.start();
  await volumes.sweep();
  const backend: Backend = {
    system,
    swarm,
    images,
    builder,
    containers: containers.manager,
    networks: network,
    volumes,
    csi: csi.api,
    doctor,
    manager: () => swarm.manager(),
  };
  const api = starting.use(createApiServer({ backend, log, clock }));
  await swarm.resume();
  for (const host of options.hosts) await api.listen(listenOptions(host, tls));
  const running = starting.move();
  return { hosts: options.hosts, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

function metricsOf(network: { onRepaired?: ReturnType<typeof repairCount> | undefined }): Metrics {
  const metrics = new Metrics();
  network.onRepaired = repairCount(metrics);
  return metrics;
}

async function startMetrics(
  { metricsAddr, metricsTls, metricsTokenFile: tokenFile }: DaemonOptions,
  {
    metrics,
    swarm,
    log,
    tls,
  }: { metrics: Metrics; swarm: SwarmNode; log: Logger; tls: ApiTls | undefined },
  starting: AsyncDisposableStack,
): Promise<void> {
  if (metricsAddr === undefined) return;
  starting.use(watchProcess(metrics));
  watchSwarm(metrics, () => swarm.part);
  const readers = {
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(metricsTls && tls !== undefined ? { tls } : {}),
  };
  starting.use(await serveMetrics(metricsAddr, metrics, log, readers));
}

/** Docker's own place: who has registries with certificates of their own has them here. */
const certsFolder = '/etc/docker/certs.d';

/** What containers need on this host; in the order in which it must start. */
async function startContainers(
  options: DaemonOptions,
  log: Logger,
  starting: AsyncDisposableStack,
) {
  const { dataRoot, runRoot, bridgeSubnet, mtu, containerd: address } = options;
  // Before containerd, which sees only namespaces pinned below a shared mount.
  const network = starting.use(
    createNetwork(
      {
        runRoot,
        dataRoot,
        ...(bridgeSubnet === undefined ? {} : { subnet: bridgeSubnet }),
        ...(mtu === undefined ? {} : { mtu }),
      },
      { clock, random, log },
    ),
  );
  const ports = network.ports.publisher(dockerPorts);
  try {
    await network.start();
  } catch (error) {
    throw explainedByKernel(error);
  }
  prepareVolumes({ dataRoot });
  const containerd = starting.use(
    await openContainerd(
      { dataRoot, runRoot, ...(address === undefined ? {} : { address }) },
      { clock, random, log },
    ),
  );
  const nodeImages = starting.use(
    createImages(
      {
        snapshotter: containerd.snapshotter,
        platform: { os: process.platform, architecture: process.arch },
        insecureRegistries: options.insecureRegistries,
        mirrors: options.registryMirrors,
        certsFolder,
      },
      { containerd: containerd.client, log, clock, random },
    ),
  );
  const { runtime } = containerd;
  const deps = { runtime, clock, random, log };
  const volumes = starting.use(openVolumes({ dataRoot, runRoot }, deps));
  const { images } = nodeImages;
  const devices = new NodeDevices({ own: options.genericResources, cdiFolders }, log);
  const csi = starting.use(openCsi(options, { clock, log }));
  return { network, ports, runtime, volumes, csi, devices, nodeImages, images };
}

function newBuilder(
  { dataRoot, runRoot }: DaemonOptions,
  images: Images,
  networks: BuildNetworks,
  log: Logger,
): Builder {
  const folders = { dataRoot: join(dataRoot, 'build'), runRoot: join(runRoot, 'build') };
  return new Builder(folders, {
    images,
    networks,
    random,
    clock,
    log: log.child({ module: 'build' }),
  });
}

function listenOptions(host: string, tls: ApiTls | undefined): ListenOptions {
  if (host.startsWith('unix://')) return { unixSocket: host.slice('unix://'.length) };
  const [, name = '', port = ''] = /^tcp:\/\/(.*):(\d+)$/.exec(host) ?? [];
  return {
    host: name.replace(/^\[|\]$/g, ''),
    port: Number(port),
    ...(tls === undefined ? {} : { tls }),
  };
}

type ApiTls = NonNullable<Extract<ListenOptions, { host: string }>['tls']>;

function readTls({ caFile, certFile, keyFile }: TlsFiles): ApiTls {
  const [caPem = '', certPem = '', keyPem = ''] = [caFile, certFile, keyFile].map((file) => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new SwarmError(
        'invalid-argument',
        `the API cannot be served over TLS without ${file}: ${messageOf(error)}`,
      );
    }
  });
  return { caPem, certPem, keyPem };
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new SwarmError('permission-denied', 'the daemon must run as root: start it with sudo');
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // The daemon lives by this timer where nothing else holds the event loop.
    const alive = setInterval(() => undefined, 2 ** 30);
    const done = () => {
      clearInterval(alive);
      resolve();
    };
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}
