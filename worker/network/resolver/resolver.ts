/** Answers the names of the swarm's networks in every container that is on one. */
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import type { AssignedNetwork } from '../../../types/index.ts';
import type { AttachedContainer, NetworkPart, Repair } from '../part.ts';
import type { NetworkDelta, NetworkTables } from '../tables.ts';
import { answerQuestion, type Surroundings } from './answer.ts';
import { askOverTcp, askOverUdp, type Exchange, type NameServer } from './exchange.ts';
import { Forwarder, type Via } from './forwarder.ts';
import { HostServers } from './host-servers.ts';
import { Listener } from './listener.ts';
import { NameIndex } from './name-index.ts';
import { askedPort } from './ports.ts';
import { type Asked, readQuestion, writeAnswer } from './questions.ts';
import { fitting, rcodes, refusal } from './wire.ts';

export interface ResolverOptions {
  /** Where the host's name servers are written down. */
  readonly resolvConfPath?: string;
  /** Asked instead of the host's, by containers that name none of their own. */
  readonly nameservers?: readonly NameServer[];
}

export interface ResolverDeps {
  readonly tables: NetworkTables;
  /** Those of networks that only this node has. */
  readonly local?: NetworkTables;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Stand-ins for the ways to other name servers. */
  readonly exchanges?: { readonly udp: Exchange; readonly tcp: Exchange };
}

interface Served {
  readonly container: AttachedContainer;
  listener: Listener;
}

export class Resolver implements NetworkPart {
  readonly #options: ResolverOptions;
  readonly #deps: ResolverDeps;
  readonly #log: Logger;
  readonly #served = new Map<string, Served>();
  readonly #forwarder: Forwarder;
  readonly #hostServers: HostServers;
  #names: NameIndex;

  constructor(options: ResolverOptions, deps: ResolverDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'resolver' });
    const { udp, tcp } = deps.exchanges ?? { udp: askOverUdp, tcp: askOverTcp };
    this.#forwarder = new Forwarder({ clock: deps.clock, log: this.#log, udp, tcp });
    const { resolvConfPath = '/etc/resolv.conf' } = options;
    this.#hostServers = new HostServers(resolvConfPath, { clock: deps.clock, log: this.#log });
    this.#names = NameIndex.of(...this.#allTables);
  }

  /** Containers served; for measuring. */
  get size(): number {
    return this.#served.size;
  }

  /** Again for the same container: its sockets are made anew. */
  async attached(container: AttachedContainer): Promise<void> {
    await this.detached(container.id);
    this.#served.set(container.id, { container, listener: this.#listen(container) });
  }

  async detached(containerId: string): Promise<void> {
    const served = this.#served.get(containerId);
    if (served === undefined) return;
    this.#served.delete(containerId);
    // A socket keeps its namespace alive.
    await served.listener[Symbol.asyncDispose]();
  }

  changed(delta: NetworkDelta): Promise<void> {
    this.#names.apply(delta.changes);
    return Promise.resolve();
  }

  async audit(isQuiet = false): Promise<readonly Repair[]> {
    const repairs = isQuiet ? [] : this.#auditNames();
    for (const served of this.#served.values()) {
      if (served.listener.isOpen) continue;
      await served.listener[Symbol.asyncDispose]();
      served.listener = this.#listen(served.container);
      repairs.push({ kind: 'resolver', what: `sockets in container ${served.container.id}` });
    }
    return repairs;
  }

  #auditNames(): Repair[] {
    const fresh = NameIndex.of(...this.#allTables);
    if (fresh.describe() === this.#names.describe()) return [];
    this.#names = fresh;
    return [{ kind: 'names', what: 'names differed from the tables' }];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forwarder[Symbol.dispose]();
    await Promise.all([...this.#served.keys()].map((id) => this.detached(id)));
  }

  #listen(container: AttachedContainer): Listener {
    const log = this.#log.child({ containerId: container.id });
    return new Listener(container.netnsPath, (query, way) => this.answer(container, query, way), {
      clock: this.#deps.clock,
      log,
    });
  }

  /** The bytes that go back to `container`; undefined for what deserves no answer. */
  answer(
    container: AttachedContainer,
    query: Buffer,
    way: 'udp' | 'tcp',
  ): Promise<Buffer> | Buffer | undefined {
    const asked = readQuestion(query, way);
    if (asked === undefined || Buffer.isBuffer(asked)) return asked;
    const { random } = this.#deps;
    const all = container.networks.flatMap(({ networkId }) => this.#network(networkId) ?? []);
    const networks = all.filter(({ ingress }) => !ingress);
    const links = linksOf(container);
    const answer = answerQuestion(asked.question, { names: this.#names, networks, links, random });
    if (answer !== undefined) return writeAnswer(asked, answer);
    // The questions of a container that has no way out would be one.
    const isConfined = networks.length > 0 && networks.every(({ internal }) => internal);
    if (isConfined) return refusal(query, rcodes.serverFailure, asked.questionEnd);
    return this.#forward(container, asked);
  }

  get #allTables(): readonly NetworkTables[] {
    const { tables, local } = this.#deps;
    return local === undefined ? [tables] : [tables, local];
  }

  #network(id: string): AssignedNetwork | undefined {
    return this.#deps.tables.network(id) ?? this.#deps.local?.network(id);
  }

  async #forward(container: AttachedContainer, asked: Asked): Promise<Buffer> {
    const { query, questionEnd, limit } = asked;
    const answer = await this.#forwarder.forward(query, questionEnd, this.#via(container));
    return fitting(answer, limit);
  }

  /** A container's own name servers may be such as only it can reach: they are asked from there. */
  #via(container: AttachedContainer): Via {
    const own = container.nameservers ?? [];
    if (own.length === 0) {
      return { key: 'host', servers: this.#options.nameservers ?? this.#hostServers.get() };
    }
    return {
      key: container.id,
      servers: own.map((address) => ({ address, port: askedPort })),
      netnsPath: container.netnsPath,
    };
  }
}

/** By network: most containers have none. */
function linksOf({ networks }: AttachedContainer): Surroundings['links'] {
  return new Map(networks.flatMap(({ networkId, links }) => (links ? [[networkId, links]] : [])));
}
