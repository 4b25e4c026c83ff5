/** A lab: hosts on a bridge of their own, with a registry, removed whatever happens. */
import { Host } from './host.ts';
import type { ImageSpec } from './image.ts';
import { recipeFor } from './recipes.ts';
import { Registry } from './registry.ts';
import { run } from './run.ts';
import { claim, disown, find, pathsOf, removeLab, type LabRecord } from './state.ts';
import { until } from './until.ts';

export interface LabOptions {
  readonly hosts: number;
  /** Needed only to find the lab again with `Lab.attach`. */
  readonly name?: string;
}

export interface SwarmOptions {
  /** 1 unless told. The first hosts are the managers. */
  readonly managers?: number;
  readonly daemonFlags?: readonly string[];
}

/** What an unexpected end of this process has to remove. */
const open = new Set<number>();
let handlersInstalled = false;

export class Lab implements AsyncDisposable {
  readonly hosts: readonly Host[];
  readonly registry: Registry;
  readonly id: number;
  /** The folder of the lab's logs and data. */
  readonly folder: string;
  #record: LabRecord;

  private constructor(record: LabRecord) {
    this.#record = record;
    this.id = record.id;
    this.folder = pathsOf(record.id).data;
    this.registry = new Registry(record.id);
    this.hosts = record.hosts.map(
      (name, index) =>
        new Host({
          labId: record.id,
          name,
          number: index + 1,
          registry: this.registry.address,
        }),
    );
  }

  /** Boots the hosts and starts the registry; no daemon yet. Needs root. */
  static async create(options: LabOptions): Promise<Lab> {
    if (process.getuid?.() !== 0) throw new Error('test hosts need root: run this with sudo');
    installHandlers();
    const names = Array.from({ length: options.hosts }, (_, index) => `h${index + 1}`);
    const record = claim(options.name ?? `process-${process.pid}-${open.size}`, names);
    open.add(record.id);
    const lab = new Lab(record);
    try {
      await lab.#makeBridge();
      await Promise.all([lab.registry.start(), ...lab.hosts.map((host) => host.boot())]);
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** A lab that an earlier process left running with `detach`; undefined when there is none. */
  static attach(name: string): Lab | undefined {
    const record = find(name);
    if (record === undefined) return undefined;
    const lab = new Lab(record);
    for (const host of lab.hosts) host.attach();
    return lab;
  }

  /** Leaves everything running when this process ends. */
  detach(): void {
    this.#record = disown(this.#record);
    open.delete(this.id);
  }

  /** The host of this name, such as "h1". */
  host(name: string): Host {
    const found = this.hosts.find((host) => host.name === name);
    if (found === undefined) throw new Error(`the lab has no host '${name}'`);
    return found;
  }

  /**
   * Builds an image, pushes it to the lab's registry and returns its full reference. Without a
   * spec the name picks a recipe: web, sleeper, crasher, memhog, talker, busybox.
   */
  image(reference: string, spec?: ImageSpec): Promise<string> {
    return this.registry.push(reference, spec ?? recipeFor(reference));
  }

  /** Starts a daemon on every host and makes one swarm of them, through the API. */
  async startSwarm(options: SwarmOptions = {}): Promise<void> {
    const { managers = 1, daemonFlags = [] } = options;
    await Promise.all(this.hosts.map((host) => host.startDaemon({ flags: daemonFlags })));
    await formSwarm(this.hosts, managers);
  }

  /** Probes until the value is accepted; see until.ts. */
  readonly until = until;

  /** Removes hosts, registry, devices, cgroups and data. */
  close(): Promise<void> {
    open.delete(this.id);
    removeLab(this.id);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #makeBridge(): Promise<void> {
    const { bridge, subnet } = pathsOf(this.id);
    // Else its address would be the lowest of its ports', and change as hosts come and go: the
    // others would go on sending to the old one for a while.
    const mac = `02:54:53:00:00:${this.id.toString(16).padStart(2, '0')}`;
    const batch = `link add ${bridge} address ${mac} type bridge
addr add ${subnet}254/24 dev ${bridge}
link set ${bridge} up
`;
    await run(['ip', '-batch', '-'], { input: batch });
  }
}

interface SwarmInfo {
  readonly JoinTokens: { readonly Manager: string; readonly Worker: string };
}

interface NodeInfo {
  readonly Status: { readonly State: string };
}

/** Init on the first host, join from the others, and wait until every node is ready. */
export async function formSwarm(hosts: readonly Host[], managers: number): Promise<void> {
  const [first, ...others] = hosts;
  if (first === undefined) throw new Error('a swarm needs a host');
  await first.api('POST', '/swarm/init', {
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: `${first.address}:2377`,
  });
  const { JoinTokens } = await first.api<SwarmInfo>('GET', '/swarm');
  for (const [index, host] of others.entries()) {
    const body = {
      ListenAddr: '0.0.0.0:2377',
      AdvertiseAddr: `${host.address}:2377`,
      RemoteAddrs: [`${first.address}:2377`],
      JoinToken: index + 1 < managers ? JoinTokens.Manager : JoinTokens.Worker,
    };
    // Where a leader is elected just then, the first attempt may be refused.
    await until(`${host.name} joins`, () => host.apiResult('POST', '/swarm/join', body), {
      accept: (answer) => answer.status === 200 || answer.body.includes('already part of a swarm'),
    });
  }
  await until(
    `${hosts.length} nodes are ready`,
    async () => {
      const nodes = await first.api<NodeInfo[]>('GET', '/nodes');
      return nodes.map((node) => node.Status.State);
    },
    {
      accept: (states) =>
        states.length === hosts.length && states.every((state) => state === 'ready'),
    },
  );
}

/** Ctrl-C, a crash or an early exit must leave nothing behind either. */
function installHandlers(): void {
  if (handlersInstalled) return;
  handlersInstalled = true;
  const removeAll = () => {
    for (const id of open) removeLab(id);
    open.clear();
  };
  process.on('exit', removeAll);
  for (const [name, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(name, () => {
      removeAll();
      process.exit(128 + number);
    });
  }
}
