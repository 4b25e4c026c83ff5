/** Hosts in one process: a network namespace each, on one wire. For tests of the data plane. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock, type Clock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedPeer,
  NetworkAssignments,
  TaskNetwork,
} from '../../../types/index.ts';
import { setUpContainerNamespace } from '../container-interfaces.ts';
import { inNamespace, Namespaces } from '../namespace.ts';
import { NetlinkSockets } from '../netlink-sockets.ts';
import { OverlayNetworks, overlayPath } from '../overlay/index.ts';
import type { AttachedContainer } from '../part.ts';
import { NetworkTables } from '../tables.ts';
import { Tunnels } from '../tunnel/index.ts';

const timeoutMs = 60_000;

/** Runs a program in the namespace at `path`; throws when it fails. */
export function runIn(path: string, ...command: readonly string[]): string {
  return execFileSync('nsenter', [`--net=${path}`, ...command], {
    encoding: 'utf8',
    timeout: timeoutMs,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A wire with hosts on it, and what was started there. */
export class Wire implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ts-swarm-wire-'));
  readonly #namespaces = new Namespaces(join(this.folder, 'hosts'), setUpContainerNamespace);
  readonly #hosts: TestHost[] = [];
  readonly #children: ChildProcess[] = [];

  constructor() {
    this.#namespaces.prepare();
    this.#namespaces.create('wire');
    this.run('ip', 'link', 'add', 'lan', 'type', 'bridge');
    this.run('ip', 'link', 'set', 'lan', 'up');
  }

  run(...command: readonly string[]): string {
    return runIn(this.#namespaces.path('wire'), ...command);
  }

  /** `number` is its address: 192.168.99.<number>. */
  addHost(number: number, mtu = 1500, clock = realClock): TestHost {
    const path = this.#namespaces.create(`h${number}`);
    const name = `h${number}`;
    const size = ['mtu', String(mtu)];
    this.run(
      'ip',
      'link',
      'add',
      name,
      ...size,
      'type',
      'veth',
      'peer',
      'name',
      `${name}e`,
      ...size,
    );
    this.run('ip', 'link', 'set', name, 'master', 'lan', 'up');
    this.run('ip', 'link', 'set', `${name}e`, 'netns', path, 'name', 'eth0');
    runIn(path, 'ip', 'address', 'add', `192.168.99.${number}/24`, 'dev', 'eth0');
    runIn(path, 'ip', 'link', 'set', 'eth0', 'up');
    const host = new TestHost(number, path, join(this.folder, `run${number}`), clock);
    this.#hosts.push(host);
    return host;
  }

  start(path: string, ...command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=${path}`, ...command], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#children.push(child);
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    for (const host of this.#hosts) await host.remove();
    this.#namespaces.clear();
    rmSync(this.folder, { recursive: true });
  }
}

export class TestHost {
  readonly id: string;
  readonly path: string;
  readonly address: string;
  readonly clock: Clock;
  readonly runRoot: string;
  ingressAddresses: readonly string[] = [];
  tables = new NetworkTables();
  tunnels: Tunnels;
  overlay: OverlayNetworks;
  readonly #containers: Namespaces;
  readonly #sockets = new NetlinkSockets();
  readonly #attached = new Map<string, AttachedContainer>();

  constructor(number: number, path: string, runRoot: string, clock: Clock) {
    this.clock = clock;
    this.id = `node${number}`;
    this.path = path;
    this.address = `192.168.99.${number}`;
    this.runRoot = runRoot;
    this.#containers = new Namespaces(join(runRoot, 'netns'), setUpContainerNamespace);
    this.#containers.prepare();
    this.tunnels = this.#newTunnels();
    this.overlay = this.#open();
  }

  get peer(): AssignedPeer {
    const wireguard = this.tunnels.published;
    const dataPath = { address: this.address, ...(wireguard === undefined ? {} : { wireguard }) };
    return { id: this.id, dataPath, ingressAddresses: this.ingressAddresses };
  }

  run(...command: readonly string[]): string {
    return runIn(this.path, ...command);
  }

  /** In the namespace of an overlay network. */
  runInNetwork(networkId: string, ...command: readonly string[]): string {
    return runIn(overlayPath(this.runRoot, networkId), ...command);
  }

  async assign(set: NetworkAssignments): Promise<void> {
    await this.overlay.changed(this.tables.apply(set));
  }

  async attach(id: string, networks: readonly TaskNetwork[]): Promise<string> {
    const netnsPath = this.#containers.create(id);
    const container = { id, netnsPath, networks };
    this.#attached.set(id, container);
    await this.overlay.attached(container);
    return netnsPath;
  }

  async detach(id: string): Promise<void> {
    this.#attached.delete(id);
    await this.overlay.detached(id);
    this.#sockets.forget(this.#containers.path(id));
    this.#containers.remove(id);
  }

  /** The container has ended while no daemon ran. */
  forget(id: string): void {
    this.#attached.delete(id);
    this.#sockets.forget(this.#containers.path(id));
    this.#containers.remove(id);
  }

  /** As a daemon does that was killed, or stopped: the kernel's state is all that is left. */
  async restart(set: NetworkAssignments): Promise<void> {
    await this.overlay[Symbol.asyncDispose]();
    this.tables = new NetworkTables();
    this.tunnels = this.#newTunnels();
    this.overlay = this.#open();
    await this.assign(set);
    for (const container of this.#attached.values()) await this.overlay.attached(container);
    await this.overlay.removeLeftovers();
  }

  async remove(): Promise<void> {
    for (const id of this.#attached.keys()) await this.detach(id);
    await this.overlay.clear();
    await this.overlay[Symbol.asyncDispose]();
    this.#containers.clear();
  }

  #newTunnels(): Tunnels {
    const namePrefix = `tst${process.pid}-${this.id.slice(-2)}`;
    const deps = { clock: this.clock, log: silentLogger, onKey: () => undefined };
    return new Tunnels({ runRoot: this.runRoot, namePrefix }, deps);
  }

  #open(): OverlayNetworks {
    const overlay = new OverlayNetworks(
      { runRoot: this.runRoot },
      {
        tables: this.tables,
        sockets: this.#sockets,
        tunnels: this.tunnels,
        node: () => ({ id: this.id, dataPathAddr: this.address }),
        clock: this.clock,
        log: silentLogger,
      },
    );
    inNamespace(this.path, () => overlay.start());
    return overlay;
  }
}

export function testNetwork(
  id: string,
  vni: number,
  more: Partial<AssignedNetwork> = {},
): AssignedNetwork {
  return {
    id,
    name: id,
    driver: 'overlay',
    vni,
    subnets: [{ subnet: '10.0.9.0/24', gateway: '10.0.9.1' }],
    internal: false,
    ingress: false,
    encrypted: false,
    dataPathPort: 4789,
    options: {},
    ...more,
  };
}

export function testEndpoint(
  networkId: string,
  taskId: string,
  nodeId: string,
  addresses: readonly string[],
): AssignedEndpoint {
  return {
    id: `${networkId}/${taskId}`,
    networkId,
    taskId,
    serviceId: 'service1',
    nodeId,
    addresses,
    names: [taskId],
    aliases: [],
    active: true,
  };
}

/** A complete set. */
export function everything(
  networks: readonly AssignedNetwork[],
  peers: readonly AssignedPeer[],
  endpoints: readonly AssignedEndpoint[],
): NetworkAssignments {
  return {
    complete: true,
    update: [
      ...networks.map((object) => ({ type: 'network' as const, object })),
      ...peers.map((object) => ({ type: 'peer' as const, object })),
      ...endpoints.map((object) => ({ type: 'endpoint' as const, object })),
    ],
    remove: [],
  };
}
