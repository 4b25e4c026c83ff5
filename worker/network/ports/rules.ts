/** Keeps the tables by which ports of this host lead to containers, and puts them right. */
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Request } from '../netlink/wire.ts';
import {
  addElements,
  addTable,
  difference,
  NetfilterSocket,
  removeElements,
  removeTable,
  structureDifference,
} from '../nft/index.ts';
import type { Repair } from '../part.ts';
import { offersIpv6 } from '../settings.ts';
import {
  elementRequests,
  elementsOf,
  formerTable,
  ipv4,
  ipv6,
  tableFor,
  type Family,
  type PortLead,
  type WayOut,
} from './ruleset.ts';

/** Of the namespace of its first use. */
export class PortRules implements Disposable {
  readonly #families: readonly Family[] = offersIpv6() ? [ipv4, ipv6] : [ipv4];
  readonly #log: Logger;
  readonly #leads = new Map<string, PortLead>();
  #wayOut: WayOut | undefined;
  #socket: NetfilterSocket | undefined;
  /** The generation of netfilter at which the tables were found right. */
  #rightAt: number | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The tables stay: the containers run on. */
  [Symbol.dispose](): void {
    this.#socket?.closeAside();
    this.#socket = undefined;
  }

  /** The tables are there. What leads anywhere by those of a former daemon still does. */
  open(wayOut: WayOut): void {
    this.#wayOut = wayOut;
    const differs = this.#families.some(
      (family) => structureDifference(this.#netfilter, this.#table(family)) !== undefined,
    );
    if (differs) this.#rebuild();
  }

  /** These are all that there are. */
  replace(leads: Iterable<PortLead>): void {
    this.#leads.clear();
    for (const lead of leads) this.#leads.set(keyOf(lead), lead);
    if (this.#difference() !== undefined) this.#rebuild();
  }

  /** At once for all of them. Those of `gone` that are not there are not an error. */
  change(gone: readonly PortLead[], come: readonly PortLead[]): void {
    const ended = gone.filter((lead) => this.#leads.delete(keyOf(lead)));
    for (const lead of come) this.#leads.set(keyOf(lead), lead);
    try {
      this.#netfilter.commit(
        this.#families.flatMap((family) => [
          ...elementRequests(family, ended, removeElements),
          ...elementRequests(family, come, addElements),
        ]),
      );
    } catch (error) {
      // Somebody has changed the tables by hand: then they are made as they should be.
      this.#log.warn('published ports are set anew', { error: messageOf(error) });
      this.#rebuildOr(come);
    }
  }

  /** Where even that fails, the caller takes its ports back. */
  #rebuildOr(come: readonly PortLead[]): void {
    try {
      this.#rebuild();
    } catch (error) {
      for (const lead of come) this.#leads.delete(keyOf(lead));
      throw error;
    }
  }

  /** Reads the tables only where anybody has written to netfilter since they were found right. */
  check(): readonly Repair[] {
    const generation = this.#netfilter.generation();
    if (generation === this.#rightAt) return [];
    const what = this.#difference();
    if (what === undefined) {
      this.#rightAt = generation;
      return [];
    }
    this.#rebuild();
    return [{ kind: 'nft', what: `published ports of this host: ${what}` }];
  }

  clear(): void {
    this.#leads.clear();
    this.#netfilter.commit(this.#removal());
  }

  #difference(): string | undefined {
    for (const family of this.#families) {
      const elements = elementsOf(family.table, this.#leads.values());
      const found = difference(this.#netfilter, this.#table(family), elements);
      if (found !== undefined) return `${found} (${family.table.family})`;
    }
    return undefined;
  }

  /** In one batch: no packet meets a table that is half there. */
  #rebuild(): void {
    this.#netfilter.commit([
      ...this.#removal(),
      ...this.#families.flatMap((family) => [
        ...addTable(this.#table(family)),
        ...elementRequests(family, this.#leads.values(), addElements),
      ]),
    ]);
  }

  #removal(): readonly Request[] {
    return this.#families.flatMap((family) => [
      ...removeTable(family.table),
      ...removeTable(formerTable(family)),
    ]);
  }

  #table(family: Family) {
    return tableFor(family, this.#wayOut);
  }

  get #netfilter(): NetfilterSocket {
    return (this.#socket ??= new NetfilterSocket());
  }
}

function keyOf({ protocol, hostIp, hostPort }: PortLead): string {
  return `${protocol} ${hostIp} ${hostPort}`;
}
