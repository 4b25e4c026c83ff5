/**
 * Virtual addresses: each container's own namespace leads what it sends to a VIP to one of the
 * service's backends. Nobody in between, and the backend sees who asks.
 */
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import type { AssignedEndpoint, AssignedServiceEndpoint } from '../../../types/index.ts';
import type { Request } from '../netlink/wire.ts';
import {
  addTable,
  difference,
  removeTable,
  type Netfilter,
  type ServerState,
  type SetElement,
} from '../nft/index.ts';
import type { AttachedContainer, NetworkPart, Repair } from '../part.ts';
import type { NetworkDelta, NetworkTables } from '../tables.ts';
import { NetworkBalance } from './balance.ts';
import {
  diceName,
  elementRequests,
  withoutPrefix,
  type Dice,
  type DiceChange,
  type DiceContents,
} from './dice.ts';
import { Pace } from './pace.ts';
import { balancerTable, diceChains, emptyTable } from './ruleset.ts';
import { Sweeper } from './sweeper.ts';

export interface BalancerDeps {
  readonly tables: NetworkTables;
  readonly netfilter: Netfilter;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Client {
  readonly container: AttachedContainer;
  /** Names of the chains that its table has besides those of every table. */
  readonly dice: Map<string, Dice>;
  /** The last change that its table reflects. */
  change: number;
  /** The kernel refused its table: the next audit tries again. */
  isBroken: boolean;
}

/** All that a network brings into an empty table. */
interface Whole {
  readonly dice: readonly (readonly [string, Dice])[];
  readonly requests: readonly Request[];
}

interface NetworkState {
  readonly balance: NetworkBalance;
  /** Absent where it has changed since. */
  whole: Whole | undefined;
}

export class Balancer implements NetworkPart {
  readonly #tables: NetworkTables;
  readonly #netfilter: Netfilter;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #sweeper: Sweeper;
  readonly #clients = new Map<string, Client>();
  readonly #states = new Map<string, NetworkState>();
  #changes = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: BalancerDeps) {
    this.#tables = deps.tables;
    this.#netfilter = deps.netfilter;
    this.#clock = deps.clock;
    this.#log = deps.log.child({ module: 'balancer' });
    this.#sweeper = new Sweeper({ ...deps, log: this.#log });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sweeper[Symbol.dispose]();
    await this.#last;
    this.#netfilter[Symbol.dispose]();
  }

  /** Also for one that is known, whose table is then made anew in one step. */
  async attached(container: AttachedContainer): Promise<void> {
    this.#netfilter.forget(container.netnsPath);
    const client = { container, dice: new Map(), change: this.#changes, isBroken: false };
    this.#clients.set(container.id, client);
    this.#rebuild(client);
  }

  async detached(containerId: string): Promise<void> {
    const container = this.#clients.get(containerId)?.container;
    this.#clients.delete(containerId);
    if (container === undefined) return;
    this.#sweeper.forget(container.netnsPath);
    this.#netfilter.forget(container.netnsPath);
    for (const { networkId } of container.networks) {
      const isUsed = this.#clients.values().some((client) => isOn(client, networkId));
      if (!isUsed) this.#states.delete(networkId);
    }
  }

  changed(delta: NetworkDelta): Promise<void> {
    return this.#inTurn(() => this.#follow(delta));
  }

  audit(): Promise<readonly Repair[]> {
    return this.#inTurn(() => this.#auditAll());
  }

  /** One after the other, so that each finds what the one before has left. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    // A failure is its own caller's; the next only waits for the end.
    this.#last = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  async #follow(delta: NetworkDelta): Promise<void> {
    const services = servicesOf(delta);
    const gone = goneAddresses(delta);
    for (const [networkId, serviceIds] of services) {
      const state = this.#states.get(networkId);
      // Nobody is on it: its balance is made when somebody comes.
      if (state === undefined) continue;
      state.whole = undefined;
      const change = state.balance.update(
        serviceIds,
        this.#tables.servicesOf(networkId),
        this.#tables.endpointsOf(networkId),
      );
      const addresses = gone.get(networkId) ?? new Set();
      const lost = new Map<string, ServerState>(
        [...change.lost, ...addresses].map((address) => [
          address,
          addresses.has(address) ? 'gone' : 'closing',
        ]),
      );
      await this.#spread(networkId, change, lost);
    }
  }

  /** The same bytes go to every container on the network. */
  async #spread(
    networkId: string,
    change: DiceChange,
    lost: ReadonlyMap<string, ServerState>,
  ): Promise<void> {
    const number = ++this.#changes;
    const requests = elementRequests(balancerTable, change);
    const pace = new Pace(this.#clock);
    for (const client of this.#clients.values()) {
      if (!isOn(client, networkId) || client.change >= number) continue;
      client.change = number;
      if (requests.length > 0) this.#apply(client, change.dice, requests);
      this.#sweeper.add(client.container.netnsPath, lost);
      await pace.step();
    }
  }

  #apply(client: Client, dice: readonly Dice[], requests: readonly Request[]): void {
    if (client.isBroken) return;
    const missing = dice.filter((one) => !client.dice.has(diceName(one)));
    try {
      this.#netfilter.commit(client.container.netnsPath, [
        ...missing.flatMap((one) => diceChains.requests(one)),
        ...requests,
      ]);
      for (const one of missing) client.dice.set(diceName(one), one);
    } catch (error) {
      const containerId = client.container.id;
      this.#log.warn('the balancing table differs from what it should be', { containerId, error });
      this.#rebuild(client);
    }
  }

  /** A container whose namespace is gone has no use for a table: only the log is told. */
  #rebuild(client: Client): void {
    const { container } = client;
    try {
      const all = container.networks.map(({ networkId }) => this.#whole(networkId));
      try {
        this.#replaceTable(client, all);
      } catch (error) {
        if (all.length < 2) throw error;
        // Networks that have the same subnet may have the same VIPs.
        this.#replaceTable(client, [whole(this.#wanted(client))]);
      }
      client.change = this.#changes;
      client.isBroken = false;
    } catch (error) {
      client.isBroken = true;
      const containerId = container.id;
      this.#log.error('a container has no balancing table', { containerId, error });
    }
  }

  #replaceTable({ container, dice }: Client, parts: readonly Whole[]): void {
    const wanted = new Map(parts.flatMap((part) => [...part.dice]));
    this.#netfilter.commit(container.netnsPath, [
      ...removeTable(balancerTable),
      ...emptyRequests,
      ...[...wanted.values()].flatMap((one) => diceChains.requests(one)),
      ...parts.flatMap((part) => part.requests),
    ]);
    dice.clear();
    for (const [name, one] of wanted) dice.set(name, one);
  }

  /** Encoded once for all containers that come before the next change. */
  #whole(networkId: string): Whole {
    const state = this.#state(networkId);
    state.whole ??= whole(state.balance.all());
    return state.whole;
  }

  /** Where networks of a container have the same subnet, the first one's addresses count. */
  #wanted(client: Client): DiceContents {
    const dice: Dice[] = [];
    const added = new Map<string, Map<string, SetElement>>();
    for (const { networkId } of client.container.networks) {
      const all = this.#state(networkId).balance.all();
      dice.push(...all.dice);
      for (const [set, list] of all.added) {
        let known = added.get(set);
        if (known === undefined) added.set(set, (known = new Map()));
        for (const element of list) {
          const key = element.key.toString('latin1');
          if (!known.has(key)) known.set(key, element);
        }
      }
    }
    return { dice, added: new Map([...added].map(([set, list]) => [set, [...list.values()]])) };
  }

  #state(networkId: string): NetworkState {
    let state = this.#states.get(networkId);
    if (state === undefined) {
      state = { balance: new NetworkBalance(), whole: undefined };
      this.#states.set(networkId, state);
      const services = [...this.#tables.servicesOf(networkId)];
      const ids = new Set(services.map(({ serviceId }) => serviceId));
      state.balance.update(ids, services, this.#tables.endpointsOf(networkId));
    }
    return state;
  }

  async #auditAll(): Promise<readonly Repair[]> {
    const repairs: Repair[] = [];
    const pace = new Pace(this.#clock);
    for (const client of this.#clients.values()) {
      const { container } = client;
      try {
        const what = this.#fault(client);
        if (what !== undefined) {
          this.#rebuild(client);
          if (!client.isBroken) repairs.push({ kind: 'nft', what: `${what} in ${container.id}` });
        }
      } catch (error) {
        // Its namespace is another part's to repair.
        this.#log.warn('a balancing table could not be read', { containerId: container.id, error });
      }
      await pace.step();
    }
    return repairs;
  }

  /** Reads the table only where somebody else has written to netfilter since. */
  #fault(client: Client): string | undefined {
    const { netnsPath } = client.container;
    if (client.isBroken) return 'the balancing table was missing';
    if (!this.#netfilter.wasTouched(netnsPath)) return undefined;
    const { added } = this.#wanted(client);
    const chains = [...client.dice.values()].map((dice) => diceChains.chain(dice));
    const table = { ...emptyTable, chains: [...emptyTable.chains, ...chains] };
    const what = this.#netfilter.inside(netnsPath, (socket) => difference(socket, table, added));
    if (what === undefined) this.#netfilter.settle(netnsPath);
    return what;
  }
}

const emptyRequests = addTable(emptyTable);
function whole({ dice, added }: DiceContents): Whole {
  return {
    dice: dice.map((one) => [diceName(one), one]),
    requests: elementRequests(balancerTable, { added }),
  };
}

function isOn({ container }: Client, networkId: string): boolean {
  return container.networks.some((network) => network.networkId === networkId);
}

/** Services of which anything has changed, by network. */
function servicesOf(delta: NetworkDelta): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { type, old, object } of delta.changes) {
    if (type !== 'endpoint' && type !== 'service-endpoint') continue;
    for (const one of [old, object] as (AssignedEndpoint | AssignedServiceEndpoint | undefined)[]) {
      if (one === undefined || one.serviceId === '') continue;
      const ids = found.get(one.networkId) ?? new Set();
      found.set(one.networkId, ids.add(one.serviceId));
    }
  }
  return found;
}

/** Addresses at which nobody is any more, by network. */
function goneAddresses(delta: NetworkDelta): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { type, old, object } of delta.changes) {
    if (type !== 'endpoint' || old === undefined || object !== undefined) continue;
    const { networkId, addresses } = old as AssignedEndpoint;
    const gone = found.get(networkId) ?? new Set();
    for (const address of addresses) gone.add(withoutPrefix(address));
    found.set(networkId, gone);
  }
  return found;
}
