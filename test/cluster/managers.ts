/** A swarm with several managers, any of which may be lost: who leads, and what each knows. */
import { strict as assert } from 'node:assert';
import { Lab, until, type Host, type HttpResult } from '../lab/index.ts';
import { imageOf, TestSwarm, withDaemonLogs } from './swarm.ts';

interface ManagerView {
  readonly id: string;
  readonly host: string;
  readonly state: string;
  readonly role: string;
  readonly leads: boolean;
  /** Empty for a worker. */
  readonly addr: string;
}

interface WireNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Role: string };
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Addr: string };
}

export interface ServiceView {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string; readonly Labels?: Readonly<Record<string, string>> };
}

/** What a manager answers that has lost sight of the others. */
const noLeader = /The swarm does not have a leader/;
const electionMs = 60_000;

export class Managers {
  readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  host(name: string): Host {
    return this.lab.host(name);
  }

  /** The nodes as this host knows them, by name. */
  async nodes(through: Host): Promise<readonly ManagerView[]> {
    const nodes = await through.api<WireNode[]>('GET', '/nodes');
    return nodes
      .map((node) => ({
        id: node.ID,
        host: node.Description.Hostname,
        state: node.Status.State,
        role: node.Spec.Role,
        leads: node.ManagerStatus?.Leader === true,
        addr: node.ManagerStatus?.Addr ?? '',
      }))
      .toSorted((a, b) => (a.host < b.host ? -1 : 1));
  }

  async idOf(host: Host, through: Host): Promise<string> {
    const nodes = await until('the nodes are told', () => this.nodes(through));
    const found = nodes.filter((node) => node.host === host.name);
    assert.equal(found.length, 1, `${host.name} is known once`);
    return found[0]?.id ?? '';
  }

  /** Waits until any of these hosts knows of a leader that is none of the excluded ones. */
  leader(hosts: readonly Host[], ...excluded: readonly Host[]): Promise<Host> {
    return until(
      'there is a leader',
      async () => {
        for (const host of hosts) {
          const answer = await host.apiResult('GET', '/nodes');
          if (answer.status !== 200) continue;
          const nodes = JSON.parse(answer.body) as WireNode[];
          const name = nodes.find((node) => node.ManagerStatus?.Leader)?.Description.Hostname;
          const leader = hosts.find((known) => known.name === name);
          if (leader !== undefined && !excluded.includes(leader)) return leader;
        }
        return undefined;
      },
      { timeoutMs: electionMs, everyMs: 20 },
    ) as Promise<Host>;
  }

  /** Waits until each of these hosts sees the same managers and nodes, and one leader. */
  async agreed(managers: readonly Host[], timeoutMs = 60_000): Promise<void> {
    const names = managers.map(({ name }) => name).join();
    await until(
      `the managers are ${names}, and know it`,
      () => allEnded(managers.map((host) => this.nodes(host))),
      {
        accept: (views) =>
          views.every((nodes) => {
            const seen = nodes.filter(({ addr }) => addr !== '');
            return (
              seen.map(({ host }) => host).join() === names &&
              seen.filter(({ leads }) => leads).length === 1 &&
              nodes.every(({ state, role, addr }) => {
                return state === 'ready' && (role === 'manager') === (addr !== '');
              })
            );
          }),
        timeoutMs,
      },
    );
  }

  /** The services as this host knows them, by name. */
  async services(through: Host): Promise<ReadonlyMap<string, ServiceView>> {
    const services = await through.api<ServiceView[]>('GET', '/services');
    return new Map(services.map((service) => [service.Spec.Name, service]));
  }

  /** Every host knows the same nodes, services and tasks, in the same versions. */
  async same(hosts: readonly Host[]): Promise<void> {
    await until(
      'all managers hold the same',
      () =>
        allEnded(
          hosts.map(async (host) => {
            const paths = ['/nodes', '/services', '/tasks'];
            const all = await allEnded(paths.map((path) => host.api<WireNode[]>('GET', path)));
            return all.flat().map(({ ID, Version }) => `${ID} ${Version.Index}`);
          }),
        ),
      {
        accept: ([first, ...rest]) => rest.every((other) => other.join() === first?.join()),
        timeoutMs: 60_000,
      },
    );
  }

  /** A change through this host; `status` is 0 where it did not answer in time. */
  async write(through: Host, name: string): Promise<{ status: number; body: string }> {
    return through.apiResult('POST', '/services/create', serviceOf(name));
  }

  /** Asks the host for a write until it refuses with the sentence about the lost leader. */
  async refuses(host: Host): Promise<void> {
    await until(
      `${host.name} says that there is no leader`,
      async () => (await this.write(host, `refused-${performance.now()}`)).body,
      { accept: (body) => noLeader.test(body), timeoutMs: 60_000, everyMs: 20 },
    );
    // From now on it says so at once, to those that read as well.
    for (const [method, path, body] of [
      ['POST', '/services/create', serviceOf('refused-again')],
      ['GET', '/services', undefined],
      ['GET', '/nodes', undefined],
    ] as const) {
      const answer = await host.apiResult(method, path, body);
      assert.equal(answer.status, 503, answer.body);
      assert.match(answer.body, noLeader);
    }
  }

  /** The others refuse for as long as they have not heard of each other, as after a start. */
  demote(through: Host, node: Host): Promise<void> {
    return this.command(through, 'node', 'demote', node.name);
  }

  promote(through: Host, node: Host): Promise<void> {
    return this.command(through, 'node', 'promote', node.name);
  }

  /** Our CLI on this host, again and again: an election in between is not what tests are about. */
  async command(through: Host, ...args: readonly string[]): Promise<void> {
    await until(`"${args.join(' ')}" is done`, () => through.cliResult(...args), {
      accept: ({ code }) => code === 0,
    });
  }

  /** What the answer is once there is a leader: on a busy machine one may be elected just now. */
  async whenLed(through: Host, method: string, path: string, body?: unknown): Promise<HttpResult> {
    const ask = () => through.apiResult(method, path, body);
    return until(`${method} ${path} is answered by ${through.name}`, ask, {
      accept: ({ status }) => status !== 503,
    });
  }

  /** The command is refused with this sentence; elections on the way are passed over. */
  async refusal(through: Host, says: RegExp, ...args: readonly string[]): Promise<void> {
    const { code, stdout } = await until(
      `"${args.join(' ')}" is refused with ${String(says)}`,
      () => through.cliResult(...args),
      { accept: (result) => result.code === 0 || says.test(result.stderr) },
    );
    assert.equal(code, 1, stdout);
  }

  /** Removes all services of these names' beginning. */
  async remove(through: Host, prefix: string): Promise<void> {
    const all = await until('the services are told', () => this.services(through));
    const names = [...all.keys()];
    for (const name of names.filter((each) => each.startsWith(prefix))) {
      const { status, body } = await this.whenLed(through, 'DELETE', `/services/${name}`);
      // Of a first attempt that was answered with 503 the outcome is unknown.
      assert.ok(status === 200 || status === 404, body);
    }
  }
}

/**
 * What all have answered, or the first error, but not before the last has answered: who asks again
 * because one refuses must not leave ever more questions behind with the others.
 */
async function allEnded<T>(asked: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(asked);
  return Promise.all(asked);
}

/** When the worker began sessions, and with whom. */
export function sessions(worker: Host): { atMs: number; addr: string }[] {
  return worker
    .daemonOutput()
    .split('\n')
    .filter((line) => line.includes('"session begins"'))
    .map((line) => {
      const { time, addr } = JSON.parse(line) as { time: number | string; addr: string };
      return { atMs: new Date(time).getTime(), addr };
    });
}

/** A service that runs nothing: all that is of interest is whether it is there. */
export function serviceOf(name: string, labels: Readonly<Record<string, string>> = {}) {
  return {
    Name: name,
    Labels: labels,
    TaskTemplate: { ContainerSpec: { Image: 'none' } },
    Mode: { Replicated: { Replicas: 0 } },
  };
}

interface ManagersOptions {
  readonly hosts: number;
  readonly managers: number;
  /** Tasks of the service "steady", which no loss of a manager's daemon may touch; 0 for none. */
  readonly replicas: number;
  /** Nodes may be silent for four times as long; as the swarm has it unless told. */
  readonly heartbeat?: string;
  /** Done on the hosts before their daemons start. */
  readonly prepare?: (lab: Lab) => Promise<void>;
}

/**
 * In a `describe`: a swarm of several managers for all of its tests, with a service that runs. Each
 * test ends with every daemon up, one leader, and the service's processes as they were.
 */
export function useManagers(options: ManagersOptions): () => Managers {
  let managers: Managers | undefined;
  let steady: readonly string[] = [];
  const get = (): Managers => {
    assert.ok(managers, 'the swarm is there only while tests run');
    return managers;
  };
  before(async () => {
    const lab = await Lab.create({ hosts: options.hosts });
    managers = new Managers(lab);
    try {
      const swarm = new TestSwarm(lab);
      await options.prepare?.(lab);
      await Promise.all([lab.startSwarm({ managers: options.managers }), lab.image('sleeper:1')]);
      if (options.heartbeat !== undefined) {
        await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', options.heartbeat);
      }
      if (options.replicas === 0) return;
      const replicas = String(options.replicas);
      await swarm.create('steady', '--replicas', replicas, imageOf(swarm, 'sleeper:1'));
      const tasks = await swarm.runs('steady', options.replicas);
      await swarm.containersAre(tasks);
      steady = swarm.containers();
    } catch (error) {
      throw withDaemonLogs(error, lab);
    }
  });
  afterEach(async function () {
    const { lab } = get();
    if (this.currentTest?.err !== undefined) withDaemonLogs(this.currentTest.err, lab);
    try {
      const found = lab.hosts.slice(0, options.managers);
      await get().agreed(found);
      await get().same(found);
      if (options.replicas === 0) return;
      const swarm = new TestSwarm(lab);
      const ours = (await swarm.runs('steady', options.replicas)).map(({ id }) => id);
      const running = swarm.containers().filter((line) => ours.some((id) => line.includes(id)));
      assert.deepEqual(running, steady, 'the same processes run as before');
    } catch (error) {
      throw withDaemonLogs(error, lab);
    }
  });
  after(async () => {
    await managers?.lab.close();
  });
  return get;
}
