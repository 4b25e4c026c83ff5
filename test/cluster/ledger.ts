/** Clients that write through all managers, whatever happens to them, and keep account of it. */
import { strict as assert } from 'node:assert';
import { sleep, until, type Host } from '../lab/index.ts';
import { serviceOf, type Managers, type ServiceView } from './managers.ts';

const defaultPauseMs = 25;
const counter = 'ledger-counter';

/**
 * Each client creates services with names that nobody else uses, and one of them counts in a label:
 * what was acknowledged has to be there in the end, and nothing may be there twice.
 */
export class Ledger implements AsyncDisposable {
  readonly #managers: Managers;
  readonly #hosts: readonly Host[];
  readonly #name: string;
  readonly #pauseMs: number;
  readonly #acknowledged = new Map<string, string>();
  readonly #unknown = new Set<string>();
  readonly #wrong: string[] = [];
  readonly #clients: Promise<void>[] = [];
  #serial = 0;
  #stopped = false;
  #counted = 0;
  #countedPerhaps = 0;

  /** `name` tells this ledger's services from those of others; clients pause after each change. */
  constructor(managers: Managers, hosts: readonly Host[], name: string, pauseMs = defaultPauseMs) {
    this.#managers = managers;
    this.#hosts = hosts;
    this.#name = name;
    this.#pauseMs = pauseMs;
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  async start(clients: number): Promise<void> {
    const [host] = this.#hosts;
    assert.ok(host);
    const body = serviceOf(`${this.#name}-${counter}`, { n: '0' });
    const made = await this.#managers.whenLed(host, 'POST', '/services/create', body);
    // Of a first attempt that was answered with 503 the outcome is unknown.
    assert.ok(made.status === 201 || made.status === 409, made.body);
    for (let client = 0; client < clients; client++) {
      this.#clients.push(this.#forever(client, (through) => this.#create(through)));
    }
    this.#clients.push(this.#forever(clients, (through) => this.#count(through)));
  }

  /** Waits until so many more changes were acknowledged. */
  async goesOn(changes = 5): Promise<void> {
    const enough = this.acknowledged + changes;
    await until(`${changes} more changes are acknowledged`, () => this.acknowledged >= enough, {
      everyMs: 10,
      timeoutMs: 60_000,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  /** Ends the clients, and compares what they were told with what every one of the hosts has. */
  async check(): Promise<void> {
    await this[Symbol.asyncDispose]();
    assert.deepEqual(this.#wrong, []);
    assert.ok(this.acknowledged > 0, 'something was acknowledged');
    for (const host of this.#hosts) {
      const services = await until('services are told', () => this.#managers.services(host));
      for (const [name, id] of this.#acknowledged) {
        assert.equal(services.get(name)?.ID, id, `${name}, acknowledged, is on ${host.name}`);
      }
      for (const name of services.keys()) {
        const isOwn = name.startsWith(`${this.#name}-w`);
        const known = this.#acknowledged.has(name) || this.#unknown.has(name);
        assert.ok(!isOwn || known, `${name} was asked for`);
      }
      this.#checkCount(services.get(`${this.#name}-${counter}`));
    }
    assert.deepEqual(this.#wrong, []);
  }

  async #forever(client: number, step: (through: Host) => Promise<void>): Promise<void> {
    for (let turn = client; !this.#stopped; turn++) {
      const host = this.#hosts[turn % this.#hosts.length];
      if (host !== undefined) await step(host);
      await sleep(this.#pauseMs);
    }
  }

  async #create(through: Host): Promise<void> {
    const name = `${this.#name}-w${++this.#serial}`;
    const answer = await this.#answer(through, 'POST', '/services/create', serviceOf(name));
    if (answer?.status === 201) {
      this.#acknowledged.set(name, (JSON.parse(answer.body) as { ID: string }).ID);
    } else {
      this.#unknown.add(name);
      // Nobody else uses the name: it can be taken only if the command was carried out twice.
      if (answer?.status === 409) this.#wrong.push(`${name} was created twice: ${answer.body}`);
    }
  }

  /** Reads the label, which has to show every count that was acknowledged, and adds one. */
  async #count(through: Host): Promise<void> {
    const path = `/services/${this.#name}-${counter}`;
    const read = await this.#answer(through, 'GET', path);
    if (read?.status !== 200) return;
    const service = JSON.parse(read.body) as ServiceView;
    const count = this.#checkCount(service);
    this.#counted = count;
    this.#countedPerhaps = 0;
    const next = serviceOf(service.Spec.Name, { n: String(count + 1) });
    const update = `${path}/update?version=${service.Version.Index}`;
    const answer = await this.#answer(through, 'POST', update, next);
    if (answer?.status === 200) this.#counted = count + 1;
    else this.#countedPerhaps = 1;
  }

  #checkCount(service: ServiceView | undefined): number {
    const count = Number(service?.Spec.Labels?.['n']);
    const least = this.#counted;
    const most = this.#counted + this.#countedPerhaps;
    if (!(count >= least && count <= most)) {
      this.#wrong.push(`the count is ${count}, and not between ${least} and ${most}`);
    }
    return count;
  }

  /** Undefined where the host's daemon is not there, or went away before it answered. */
  async #answer(through: Host, method: string, path: string, body?: unknown) {
    try {
      return await through.apiResult(method, path, body);
    } catch (error) {
      assert.ok(error instanceof Error);
      return undefined;
    }
  }
}
