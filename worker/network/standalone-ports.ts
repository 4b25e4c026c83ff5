/**
 * Rules by which ports of this host lead to standalone containers: a table for each family of
 * addresses, with maps from a port, or from an address and a port, to a container.
 */
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { addressBytes, parseCidr, type Request } from './netlink/wire.ts';
import {
  addElements,
  addTable,
  anyOf,
  be16,
  bits,
  concat,
  ct,
  ctStatus,
  destinationType,
  differs,
  difference,
  equals,
  interfaceName,
  isLocal,
  isProtocol,
  mapped,
  masquerade,
  meta,
  native32,
  NetfilterSocket,
  packet,
  priorities,
  removeElements,
  removeTable,
  translate,
  verdict,
  type Chain,
  type DataType,
  type SetElement,
  type Statement,
  type Table,
  type TableName,
  type Value,
} from './nft/index.ts';
import type { NetworkPart, Repair } from './part.ts';
import { offersIpv6 } from './settings.ts';

const protocols = ['tcp', 'udp', 'sctp'] as const;

/** A port of the host and where it leads: addresses of one family, without prefixes. */
export interface PortLead {
  readonly protocol: (typeof protocols)[number];
  /** "0.0.0.0" or "::" for every address of the host. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly address: string;
  readonly containerPort: number;
}

interface Family {
  readonly table: TableName & { readonly family: 'ip' | 'ip6' };
  readonly type: DataType;
  /** Of an address and a port, each in registers of its own. */
  readonly targetBytes: number;
  readonly source: Value;
  readonly destination: Value;
  /** The host itself. */
  readonly loopback: string;
}

const name = 'ts_swarm_standalone';
const ipv4: Family = {
  table: { family: 'ip', name },
  type: 'ipv4',
  targetBytes: 8,
  source: packet.ipv4Source,
  destination: packet.ipv4Destination,
  loopback: '127.0.0.0/8',
};
const ipv6: Family = {
  table: { family: 'ip6', name },
  type: 'ipv6',
  targetBytes: 20,
  source: packet.ipv6Source,
  destination: packet.ipv6Destination,
  loopback: '::1/128',
};

export class StandalonePorts implements NetworkPart {
  readonly #families: readonly Family[] = offersIpv6() ? [ipv4, ipv6] : [ipv4];
  readonly #log: Logger;
  readonly #leads = new Map<string, PortLead>();
  #socket: NetfilterSocket | undefined;
  /** The generation of netfilter at which the tables were found right. */
  #rightAt: number | undefined;

  constructor(log: Logger) {
    this.#log = log.child({ module: 'standalone-ports' });
  }

  /** The tables stay: the containers run on. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#socket?.closeAside();
    this.#socket = undefined;
    return Promise.resolve();
  }

  /** Of the namespace of the first call, which comes when it is known what is to lead anywhere. */
  replace(leads: Iterable<PortLead>): void {
    this.#socket ??= new NetfilterSocket();
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
        this.#families.flatMap(({ table }) => [
          ...requests(table, ended, removeElements),
          ...requests(table, come, addElements),
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
  audit(): Promise<readonly Repair[]> {
    return Promise.resolve(this.check());
  }

  attached(): Promise<void> {
    return Promise.resolve();
  }

  detached(): Promise<void> {
    return Promise.resolve();
  }

  changed(): Promise<void> {
    return Promise.resolve();
  }

  /** The same at once. */
  check(): readonly Repair[] {
    // Until it is known what ports there are, those of the former daemon are left as they are.
    if (this.#socket === undefined) return [];
    const generation = this.#socket.generation();
    if (generation === this.#rightAt) return [];
    const what = this.#difference();
    if (what === undefined) {
      this.#rightAt = generation;
      return [];
    }
    this.#rebuild();
    return [{ kind: 'nft', what: `ports of standalone containers: ${what}` }];
  }

  #difference(): string | undefined {
    for (const family of this.#families) {
      const found = difference(this.#netfilter, tableFor(family), this.#elements(family));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** In one batch: no packet meets a table that is half there. */
  #rebuild(): void {
    this.#netfilter.commit(
      this.#families.flatMap((family) => [
        ...removeTable(family.table),
        ...addTable(tableFor(family)),
        ...requests(family.table, [...this.#leads.values()], addElements),
      ]),
    );
  }

  #elements({ table }: Family): ReadonlyMap<string, readonly SetElement[]> {
    return elementsOf(table, this.#leads.values());
  }

  get #netfilter(): NetfilterSocket {
    return (this.#socket ??= new NetfilterSocket());
  }
}

function tableFor(family: Family): Table {
  const { table, type, targetBytes, destination } = family;
  const lead = (key: Value, map: string): Statement =>
    translate('dnat', table.family, mapped(key, map, targetBytes), true);
  const toContainers = protocols.flatMap((protocol) => [
    [
      isProtocol(protocol),
      lead(concat(destination, packet.destinationPort), setsOf(protocol).ofAddress),
    ],
    [
      equals(destinationType, native32(isLocal)),
      isProtocol(protocol),
      lead(packet.destinationPort, setsOf(protocol).anywhere),
    ],
  ]);
  // No rule can lead elsewhere what comes from ::1: it is carried by the socket that is held.
  const notToSelf = table.family === 'ip6' ? [[isLoopback(family), verdict('return')]] : [];
  return {
    ...table,
    sets: protocols.flatMap((protocol) => [
      { name: setsOf(protocol).anywhere, key: ['port'], data: [type, 'port'] },
      { name: setsOf(protocol).ofAddress, key: [type, 'port'], data: [type, 'port'] },
    ]),
    chains: [
      {
        // Nobody reaches from outside what is published for the host itself.
        name: 'raw',
        base: { type: 'filter', at: 'prerouting', priority: priorities.raw },
        rules: [
          [differs(meta.inputName, interfaceName('lo')), isLoopback(family), verdict('drop')],
        ],
      },
      translation('prerouting', toContainers),
      translation('output', [...notToSelf, ...toContainers]),
      {
        name: 'postrouting',
        base: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat },
        rules: [
          [
            isLoopback(family, family.source),
            anyOf(ct.status, ctStatus.destinationTranslated),
            masquerade,
          ],
        ],
      },
    ],
  };
}

function translation(at: 'prerouting' | 'output', rules: Chain['rules']): Chain {
  return { name: at, base: { type: 'nat', at, priority: priorities.destinationNat }, rules };
}

function isLoopback({ loopback, destination }: Family, address = destination): Statement {
  const { bytes, prefix } = parseCidr(loopback);
  const isWhole = prefix === bytes.length * 8;
  return equals(isWhole ? address : bits(address, Buffer.from([255, 0, 0, 0])), bytes);
}

function requests(
  table: Family['table'],
  leads: readonly PortLead[],
  make: typeof addElements,
): readonly Request[] {
  return [...elementsOf(table, leads)].flatMap(([set, elements]) => make(table, set, elements));
}

/** Of this family's table, by the names of its maps. */
function elementsOf(
  { family }: Family['table'],
  leads: Iterable<PortLead>,
): ReadonlyMap<string, readonly SetElement[]> {
  const own = [...leads].filter(({ address }) => address.includes(':') === (family === 'ip6'));
  const groups = Map.groupBy(own, ({ protocol, hostIp }) => {
    const { anywhere, ofAddress } = setsOf(protocol);
    return isAnywhere(hostIp) ? anywhere : ofAddress;
  });
  return new Map(
    [...groups].map(([set, members]) => [
      set,
      members.map(({ hostIp, hostPort, address, containerPort }) => ({
        key: isAnywhere(hostIp) ? be16(hostPort) : place(hostIp, hostPort),
        data: place(address, containerPort),
      })),
    ]),
  );
}

/** Each part in whole registers. */
function place(address: string, port: number): Buffer {
  return Buffer.concat([addressBytes(address), be16(port), Buffer.alloc(2)]);
}

function isAnywhere(hostIp: string): boolean {
  return hostIp === '0.0.0.0' || hostIp === '::';
}

function setsOf(protocol: PortLead['protocol']) {
  return { anywhere: `${protocol}_any`, ofAddress: `${protocol}_at` } as const;
}

function keyOf({ protocol, hostIp, hostPort }: PortLead): string {
  return `${protocol} ${hostIp} ${hostPort}`;
}
