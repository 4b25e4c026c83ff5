/** A service that is asked all the time, by a container on its network and through the mesh. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { assertNoneFailed, Load, outcomeLine, type LoadOutcome } from './load.ts';
import { netnsOf, tablesAreRight, vipOf } from './network-tables.ts';
import { imageOf, type TaskView, type TestSwarm } from './swarm.ts';

const network = 'front';
const service = 'shop';
const meshPort = 8090;

interface ShopOptions {
  readonly replicas: number;
  /** Of `service create`. */
  readonly flags?: readonly string[];
  /** From each of the clients. */
  readonly requestsPerSecond: number;
  /** The host of the container that asks. */
  readonly clientHost: string;
  /** The hosts that somebody outside asks, and from where. */
  readonly mesh?: { readonly from: string; readonly to: string };
  /** Of a request; see `Load`. */
  readonly timeoutMs?: number;
}

/** The images that it needs. */
export const shopImages = ['shop:1', 'sleeper:1'] as const;

interface WireService {
  readonly UpdateStatus?: { readonly State: string };
}

interface NamedLoad {
  /** The way that the requests take. */
  readonly name: string;
  readonly load: Load;
}

export class Shop {
  readonly swarm: TestSwarm;
  readonly #loads: readonly NamedLoad[];
  readonly #clientId: string;
  #version = 1;

  private constructor(swarm: TestSwarm, loads: readonly NamedLoad[], clientId: string) {
    this.swarm = swarm;
    this.#loads = loads;
    this.#clientId = clientId;
  }

  /** Its network, its tasks, and requests that go on until `close`. */
  static async open(swarm: TestSwarm, options: ShopOptions): Promise<Shop> {
    const { replicas, flags = [], requestsPerSecond, clientHost, mesh, timeoutMs } = options;
    await swarm.cli('network', 'create', '--driver', 'overlay', network);
    const publish = mesh === undefined ? [] : ['--publish', `${meshPort}:80`];
    const common = ['--network', network, '--replicas', `${replicas}`, ...publish, ...flags];
    await swarm.create(service, ...common, imageOf(swarm, 'shop:1'));
    const place = ['--constraint', `node.hostname==${clientHost}`];
    await swarm.create('client', '--network', network, ...place, imageOf(swarm, 'sleeper:1'));
    const [client] = await swarm.runs('client', 1);
    assert.ok(client !== undefined, 'the client runs');
    await tablesAreRight(swarm);
    const expect = /^shop:\d+ [0-9a-z]+\n$/;
    const rest = { requestsPerSecond, expect, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    const vip = await vipOf(swarm, service, network);
    const netns = netnsOf(swarm, client);
    const host = swarm.host(clientHost);
    const inside = { address: vip, port: 80, netns, ...rest };
    const loads = [{ name: 'VIP', load: await Load.start(host, inside) }];
    if (mesh !== undefined) {
      const { address } = swarm.host(mesh.to);
      const load = await Load.start(swarm.host(mesh.from), { address, port: meshPort, ...rest });
      loads.push({ name: 'mesh', load });
    }
    return new Shop(swarm, loads, client.id);
  }

  /** A rolling update of all tasks; resolves when it is complete. */
  async update(timeoutMs = 60_000): Promise<void> {
    const { length } = await this.tasks();
    await this.beginUpdate();
    await this.isUpdated(length, this.swarm, timeoutMs);
  }

  /** Does not wait for anything. */
  async beginUpdate(through = this.swarm.manager): Promise<void> {
    const change = ['--env-add', `VERSION=${++this.#version}`];
    await through.cli('service', 'update', '--detach', ...change, service);
  }

  /** The tasks that run in the present version. */
  async updated(through = this.swarm): Promise<readonly TaskView[]> {
    const version = `VERSION=${this.#version}`;
    return (await through.running(service)).filter(({ env }) => env.includes(version));
  }

  /** Waits until all of so many tasks run in the present version, and the update is over. */
  async isUpdated(replicas: number, through: TestSwarm, timeoutMs = 60_000): Promise<void> {
    const look = async () => {
      const tasks = await this.updated(through);
      const path = `/services/${service}`;
      const { UpdateStatus } = await through.manager.api<WireService>('GET', path);
      return { running: tasks.length, state: UpdateStatus?.State };
    };
    await until(`${replicas} tasks run in version ${this.#version}`, look, {
      accept: ({ running, state }) => running === replicas && state === 'completed',
      timeoutMs,
    });
  }

  async scale(replicas: number): Promise<void> {
    await this.swarm.cli('service', 'scale', `${service}=${replicas}`);
    await this.swarm.runs(service, replicas);
  }

  tasks(): Promise<readonly TaskView[]> {
    return this.swarm.running(service);
  }

  /** Resolves once no task runs on this host any more. */
  async left(host: string): Promise<void> {
    await until(`no task of the shop runs on ${host}`, () => this.swarm.tasks(service), {
      accept: (tasks) => !tasks.some((task) => task.host === host && task.state === 'running'),
      timeoutMs: 30_000,
    });
  }

  /** Ends the requests. What became of them, by the way that they took. */
  async close(): Promise<readonly (LoadOutcome & { readonly name: string })[]> {
    return Promise.all(
      this.#loads.map(async ({ name, load }) => ({ name, ...(await load.stop()) })),
    );
  }

  /** Ends the requests, of which none may have failed. Prints how they went. */
  async closeUnharmed(what: string): Promise<void> {
    const outcomes = await this.close();
    for (const outcome of outcomes) {
      console.log(`      ${what}, ${outcome.name}: ${outcomeLine(outcome)}`);
    }
    const [client] = await this.swarm.running('client');
    assert.equal(client?.id, this.#clientId, `${what}: the asking container itself was replaced`);
    for (const outcome of outcomes) assertNoneFailed(outcome, `${what}, ${outcome.name}`);
    await tablesAreRight(this.swarm);
  }
}

/** After a test: what the shop has left. */
export async function clearShop(swarm: TestSwarm): Promise<void> {
  const { code } = await swarm.manager.cliResult('network', 'inspect', network);
  if (code !== 0) return;
  await swarm.clear();
  await swarm.cli('network', 'rm', network);
}
