/** Storage that all hosts of a swarm share, with a CSI driver on each of them. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until, type Host } from '../lab/index.ts';
import type { TaskView, TestSwarm } from './swarm.ts';

interface Inspected {
  readonly Name: string;
  readonly Scope: string;
  readonly Status?: Readonly<Record<string, string>>;
  readonly ClusterVolume: {
    readonly ID: string;
    readonly Version: { readonly Index: number };
    readonly Spec: { readonly Availability: string };
    readonly Info?: { readonly VolumeID: string; readonly CapacityBytes?: number };
    readonly PublishStatus?: readonly { readonly NodeID: string; readonly State: string }[];
  };
}

interface WireNode {
  readonly Description: {
    readonly Hostname: string;
    readonly CSIInfo?: readonly { readonly PluginName: string; readonly NodeID: string }[];
  };
}

const script = join(import.meta.dirname, 'csi-driver.ts');
const patienceMs = 60_000;

export class SharedStorage {
  readonly #get: () => TestSwarm;

  constructor(get: () => TestSwarm) {
    this.#get = get;
  }

  get directory(): string {
    return `${this.#get().manager.dataRoot}/array`;
  }

  async start(): Promise<void> {
    for (const host of this.#get().hosts) await this.startDriver(host);
    for (const host of this.#get().hosts) {
      const tells = async () => {
        // Asking what a host is has it look for drivers at once.
        await host.cli('info');
        const nodes = await this.#get().manager.api<WireNode[]>('GET', '/nodes');
        const node = nodes.find(({ Description }) => Description.Hostname === host.name);
        return node?.Description.CSIInfo?.[0]?.PluginName === 'shared.test';
      };
      const options = { accept: (told: boolean) => told, timeoutMs: patienceMs };
      await until(`${host.name} tells of its driver`, tells, options);
    }
  }

  async startDriver(host: Host, name = 'shared.test'): Promise<void> {
    const socket = join(host.runRoot, 'csi', `${name}.sock`);
    const zone = host.name === 'h3' ? 'far' : 'near';
    const node = `node-${host.name}`;
    const argv = [process.execPath, script, socket, this.directory, node, zone, name];
    await host.start('a CSI driver', argv);
  }

  /** Forgets all volumes: none is used any more. */
  async clear(): Promise<void> {
    const { manager } = this.#get();
    const names = (await manager.cli('volume', 'ls', '-q', '--cluster')).split('\n');
    for (const name of names.filter(Boolean)) {
      await manager.cliResult('volume', 'rm', '--force', name);
    }
  }

  /** What must never have been. */
  checkUnharmed(): void {
    const path = join(this.directory, 'violations');
    assert.equal(existsSync(path) ? readFileSync(path, 'utf8') : '', '', 'the array complains');
  }

  make(name: string, ...flags: readonly string[]): Promise<string> {
    const driver = flags.includes('--driver') ? [] : ['--driver', 'shared.test'];
    return this.#get().manager.cli('volume', 'create', ...driver, ...flags, name);
  }

  async inspect(name: string): Promise<Inspected> {
    const said = await this.#get().manager.cli('volume', 'inspect', name);
    const [found] = JSON.parse(said) as [Inspected];
    return found;
  }

  async isMade(name: string): Promise<void> {
    const isMade = async () => (await this.inspect(name)).ClusterVolume.Info !== undefined;
    const options = { accept: (made: boolean) => made, timeoutMs: patienceMs };
    await until(`${name} is made`, isMade, options);
  }

  /** To how many nodes, as far as the swarm knows. */
  async publishedTo(name: string): Promise<number> {
    return ((await this.inspect(name)).ClusterVolume.PublishStatus ?? []).length;
  }

  /** The nodes that the array lets at the volume. */
  arrayHas(name: string): readonly string[] {
    const folder = join(this.directory, 'published', name);
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** A file in a task's container. */
  inTask(task: TaskView, path: string): string {
    return `/proc/${this.#get().pidOf(task)}/root${path}`;
  }
}
