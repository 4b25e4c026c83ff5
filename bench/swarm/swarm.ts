/** What is measured, as far as the two sides differ: all else goes through the Engine API. */
import { join } from 'node:path';
import { formSwarm, type Host, type Lab } from '../../test/lab/index.ts';

export interface Swarm {
  readonly name: string;
  /** Whether its virtual addresses and routing mesh work here: Docker's need IP_VS. */
  readonly hasVips: boolean;
  /** Starts a daemon on every host and makes one swarm of them, the first hosts its managers. */
  start(lab: Lab, managers?: number): Promise<void>;
  /** Starts the host's daemon again after it was killed. */
  startDaemon(lab: Lab, host: Host): Promise<void>;
  /** Whether this process is the daemon itself. */
  isDaemon(argv: readonly string[]): boolean;
}

const named = (argv: readonly string[], ...names: string[]) =>
  names.includes(argv[0]?.split('/').at(-1) ?? '');

/**
 * Whether this process is what running 60 tasks costs: daemon, containerd, shims and whatever else
 * there is, but not the tasks themselves and not what the test host is made of.
 */
export function isOverhead(argv: readonly string[]): boolean {
  const line = argv.join(' ');
  const isTask = line === '/bin/sh /bin/run' || line === 'sleep 1000000';
  return !isTask && line !== 'sleep infinity' && !named(argv, 'unshare', 'nsenter', 'tini');
}

/** Whether this process is the swarm's daemon on this host. */
export function isDaemonOf(swarm: Swarm, host: Host, argv: readonly string[]): boolean {
  return swarm.isDaemon(argv) && argv.some((flag) => flag === `--data-root=${host.dataRoot}`);
}

/** Docker Engine as Debian installs it, with its own containerd. */
export function dockerSwarm(runtime: 'runc' | 'crun'): Swarm {
  return {
    name: `Docker Swarm (${runtime})`,
    hasVips: false,
    async start(lab, managers = 1) {
      await Promise.all(lab.hosts.map((host) => startDockerd(lab, host, runtime)));
      await formSwarm(lab.hosts, managers);
    },
    startDaemon: (lab, host) => startDockerd(lab, host, runtime),
    isDaemon: (argv) => named(argv, 'dockerd'),
  };
}

async function startDockerd(lab: Lab, host: Host, runtime: 'runc' | 'crun'): Promise<void> {
  const argv = [
    '/usr/sbin/dockerd',
    `--data-root=${host.dataRoot}`,
    `--exec-root=${join(host.runRoot, 'exec')}`,
    `--pidfile=${join(host.runRoot, 'docker.pid')}`,
    `--host=${host.url}`,
    `--insecure-registry=${lab.registry.address}`,
    ...(runtime === 'runc' ? [] : ['--add-runtime=crun=/usr/bin/crun', '--default-runtime=crun']),
  ];
  const daemon = await host.start(`dockerd of ${host.name}`, argv, host.daemonLog);
  await daemon.ready(async () => (await host.apiResult('GET', '/_ping')).status === 200);
}

export const tsSwarm: Swarm = {
  name: 'ts-swarm',
  hasVips: true,
  start: (lab, managers = 1) => lab.startSwarm({ managers }),
  startDaemon: (_lab, host) => host.startDaemon(),
  isDaemon: (argv) => named(argv, 'node'),
};
