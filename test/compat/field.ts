/** What all tests of this folder share: three hosts with our daemon, and one with Docker's. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { Lab, until, type Host } from '../lab/index.ts';
import { probeImage } from './probe.ts';
import type { Cli } from './clients.ts';

/** A task as the API shows it, as far as tests look. */
interface WireTask {
  readonly ID: string;
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly Err?: string; readonly Message?: string };
}

/** Without its spec: what an error message can tell. */
function brief({ ID, Slot, NodeID, DesiredState, Status }: WireTask) {
  return { ID, Slot, NodeID, DesiredState, Status } as WireTask;
}

export class Field {
  readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  /** The manager of our swarm. */
  get manager(): Host {
    return this.lab.host('h1');
  }

  /** Where Docker's own daemon runs: the measure of things. */
  get dockerd(): Host {
    return this.lab.host('h4');
  }

  /** The hosts with our daemon. */
  get hosts(): readonly Host[] {
    return this.lab.hosts.slice(0, 3);
  }

  image(reference: string): string {
    return `${this.lab.registry.address}/${reference}`;
  }

  async tasks(service: string, host = this.manager): Promise<readonly WireTask[]> {
    const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
    return host.api<WireTask[]>('GET', `/tasks?filters=${filters}`);
  }

  /** Waits until just so many tasks of the service run, and no others are wanted. */
  async runs(service: string, count: number, host = this.manager): Promise<readonly WireTask[]> {
    const isWanted = ({ DesiredState: desired }: WireTask) =>
      desired === 'running' || desired === 'ready';
    const tasks = await until(
      `${count} tasks of ${service} run`,
      async () => (await this.tasks(service, host)).map(brief),
      {
        accept(now) {
          const wanted = now.filter(isWanted);
          return (
            wanted.length === count && wanted.every(({ Status }) => Status.State === 'running')
          );
        },
        timeoutMs: 60_000,
      },
    );
    return tasks.filter(isWanted);
  }

  /** The machine's pid of the task's process 1, and the host that it runs on. */
  process(taskId: string): { readonly pid: number; readonly host: Host } {
    const found = this.hosts.flatMap((host) =>
      host
        .containers()
        .filter(({ id }) => id.endsWith(taskId))
        .map(({ pid }) => ({ pid, host })),
    );
    assert.ok(found[0] !== undefined, `no container of task ${taskId} runs on any host`);
    return found[0];
  }

  /** What the service's containers have printed so far. */
  output(cli: Cli, service: string): Promise<string> {
    return cli.run(this.manager, 'service', 'logs', '--raw', service);
  }

  /** Removes every service of both swarms and waits until no task of ours is left. */
  async clear(): Promise<void> {
    for (const host of [this.manager, this.dockerd]) {
      const services = await host.api<{ ID: string }[]>('GET', '/services');
      for (const { ID } of services) await host.api('DELETE', `/services/${ID}`);
    }
    const left = () => {
      for (const host of this.hosts) host.endDeafTasks();
      return this.tasksLeft();
    };
    await until('no task is left', left, {
      accept: (count) => count === 0,
      timeoutMs: 60_000,
      everyMs: 100,
    });
  }

  async tasksLeft(): Promise<number> {
    return (await this.manager.api<unknown[]>('GET', '/tasks')).length;
  }
}

/** Where registry-cases.ts puts a registry that asks for a password. */
export const guardedPort = 5001;
/** Where credential-cases.ts puts one that asks for tokens: daemons remember what each wants. */
export const tokenPort = 5002;

/** How the daemons are started: the registry with a password is reached without TLS. */
export function daemonStart(lab: Lab): { readonly flags: readonly string[] } {
  const [host] = lab.registry.address.split(':');
  return { flags: [guardedPort, tokenPort].map((port) => `--insecure-registry=${host}:${port}`) };
}

/** In a `describe`: the hosts for all of its tests; daemons run, no swarm is made yet. */
export function useField(): () => Field {
  let field: Field | undefined;
  before(async () => {
    const lab = await Lab.create({ hosts: 4 });
    field = new Field(lab);
    const images = ['web:1', 'sleeper:1', 'talker:1', 'crasher:1', 'busybox:1'];
    await Promise.all([
      ...field.hosts.map((host) => host.startDaemon(daemonStart(lab))),
      startDockerd(lab, field.dockerd),
      lab.image('probe:1', probeImage),
      lab.image('sick:1', { ...probeImage, healthcheck: { Test: ['CMD', 'false'], ...often } }),
      ...images.map((image) => lab.image(image)),
    ]);
  });
  after(async () => {
    await field?.lab.close();
  });
  return () => {
    assert.ok(field, 'the hosts are there only while tests run');
    return field;
  };
}

const often = { Interval: 200_000_000, Timeout: 1_000_000_000, Retries: 1 };

async function startDockerd(lab: Lab, host: Host): Promise<void> {
  const daemon = await host.start(
    `dockerd of ${host.name}`,
    [
      '/usr/sbin/dockerd',
      `--data-root=${host.dataRoot}`,
      `--exec-root=${join(host.runRoot, 'exec')}`,
      `--pidfile=${join(host.runRoot, 'docker.pid')}`,
      `--host=${host.url}`,
      `--insecure-registry=${lab.registry.address}`,
    ],
    host.daemonLog,
  );
  await daemon.ready(async () => (await host.apiResult('GET', '/_ping')).status === 200);
}
