/**
 * Host-mode ports: a table of netfilter with maps from a port of this host to a container, and the
 * rules by which containers leave through the bridge under the host's address.
 */
import type { Logger } from '../../lib/log.ts';
import { messageOf } from '../../lib/errors.ts';
import { addressBytes, parseCidr } from './netlink/wire.ts';
import {
  addElements,
  addTable,
  anyOf,
  be16,
  bits,
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
  type Chain,
  type SetElement,
  type Statement,
  type Table,
  type TableName,
} from './nft/index.ts';
import type { Repair } from './part.ts';

const tableName: TableName = { family: 'ip', name: 'ts_swarm' };
const protocols = ['tcp', 'udp', 'sctp'] as const;
type Protocol = (typeof protocols)[number];
const loopback = '127.0.0.0/8';
/** An address and a port, each in registers of its own. */
const targetBytes = 8;

export interface PortMapping {
  readonly protocol: Protocol;
  readonly hostPort: number;
  readonly address: string;
  readonly containerPort: number;
}

export class HostPorts implements Disposable {
  readonly #socket = new NetfilterSocket();
  readonly #table: Table;
  readonly #log: Logger;
  readonly #mappings = new Map<string, PortMapping>();
  /** The generation of netfilter at which the table was found right. */
  #rightAt: number | undefined;

  /** Belongs to the namespace in which it is made. */
  constructor(options: { readonly bridge: string; readonly subnet: string }, log: Logger) {
    this.#table = tableFor(options.bridge, options.subnet);
    this.#log = log;
  }

  /** The table stays. */
  [Symbol.dispose](): void {
    this.#socket.closeAside();
  }

  /** Makes the table anew with just these mappings, unless it is there just so. */
  replace(mappings: Iterable<PortMapping>): void {
    this.#mappings.clear();
    for (const mapping of mappings) this.#mappings.set(keyOf(mapping), mapping);
    if (this.#difference() !== undefined) this.#rebuild();
  }

  add(mappings: readonly PortMapping[]): void {
    for (const mapping of mappings) this.#mappings.set(keyOf(mapping), mapping);
    this.#change(mappings, addElements);
  }

  /** Those that are not there are not an error. */
  remove(mappings: readonly PortMapping[]): void {
    this.#change(
      mappings.filter((mapping) => this.#mappings.delete(keyOf(mapping))),
      removeElements,
    );
  }

  clear(): void {
    this.#mappings.clear();
    this.#socket.commit(removeTable(tableName));
  }

  /** Reads the table only where anybody has written to netfilter since it was found right. */
  audit(): readonly Repair[] {
    const generation = this.#socket.generation();
    if (generation === this.#rightAt) return [];
    const what = this.#difference();
    if (what === undefined) {
      this.#rightAt = generation;
      return [];
    }
    this.#rebuild();
    return [{ kind: 'nft', what: `ports of this host: ${what}` }];
  }

  #change(mappings: readonly PortMapping[], make: typeof addElements): void {
    if (mappings.length === 0) return;
    const elements = elementsOf(mappings);
    try {
      this.#socket.commit([...elements].flatMap(([set, members]) => make(tableName, set, members)));
    } catch (error) {
      // Somebody has changed the table by hand: then it is made as it should be.
      this.#log.warn('ports of this host are set anew', { error: messageOf(error) });
      this.#rebuild();
    }
  }

  #difference(): string | undefined {
    return difference(this.#socket, this.#table, elementsOf(this.#mappings.values()));
  }

  /** In one batch: no packet meets a table that is half there. */
  #rebuild(): void {
    const elements = elementsOf(this.#mappings.values());
    this.#socket.commit([
      ...removeTable(tableName),
      ...addTable(this.#table),
      ...[...elements].flatMap(([set, members]) => addElements(tableName, set, members)),
    ]);
  }
}

function tableFor(bridge: string, subnet: string): Table {
  const toContainers = protocols.map((protocol) => [
    equals(destinationType, native32(isLocal)),
    isProtocol(protocol),
    translate('dnat', 'ip', mapped(packet.destinationPort, mapOf(protocol), targetBytes), true),
  ]);
  const chain = (name: 'prerouting' | 'output'): Chain => ({
    name,
    base: { type: 'nat', at: name, priority: priorities.destinationNat },
    rules: toContainers,
  });
  const toBridge = equals(meta.outputName, interfaceName(bridge));
  return {
    ...tableName,
    sets: protocols.map((protocol) => ({
      name: mapOf(protocol),
      key: ['port'],
      data: ['ipv4', 'port'],
    })),
    chains: [
      chain('prerouting'),
      chain('output'),
      {
        name: 'postrouting',
        base: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat },
        rules: [
          [comesOf(subnet), differs(meta.outputName, interfaceName(bridge)), masquerade],
          [comesOf(subnet), toBridge, anyOf(ct.status, ctStatus.destinationTranslated), masquerade],
          [comesOf(loopback), toBridge, masquerade],
        ],
      },
    ],
  };
}

function comesOf(subnet: string): Statement {
  const { bytes, prefix } = parseCidr(subnet);
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0);
  return equals(bits(packet.ipv4Source, mask), bytes);
}

function elementsOf(mappings: Iterable<PortMapping>): ReadonlyMap<string, readonly SetElement[]> {
  const groups = Map.groupBy(mappings, ({ protocol }) => mapOf(protocol));
  return new Map(
    [...groups].map(([set, members]) => [
      set,
      members.map(({ hostPort, address, containerPort }) => ({
        key: be16(hostPort),
        data: Buffer.concat([addressBytes(address), be16(containerPort), Buffer.alloc(2)]),
      })),
    ]),
  );
}

function mapOf(protocol: Protocol): string {
  return `${protocol}_ports`;
}

function keyOf({ protocol, hostPort }: PortMapping): string {
  return `${protocol}/${hostPort}`;
}
