/**
 * VXLAN's packets pass the host without connection tracking. By its source port, each connection of
 * containers is a UDP flow of its own: remembered, they fill the host's table of connections, which
 * its other programs need, and cost a look-up for each packet at both ends. Nobody translates them.
 */
import {
  be16,
  equals,
  difference,
  isProtocol,
  addTable,
  NetfilterSocket,
  notrack,
  packet,
  priorities,
  removeTable,
  type Table,
  type TableName,
} from '../nft/index.ts';
import type { Repair } from '../part.ts';

const tableName: TableName = { family: 'inet', name: 'ts_swarm_vxlan' };
const hooks = ['prerouting', 'output'] as const;

export class UntrackedVxlan implements Disposable {
  readonly #socket = new NetfilterSocket();
  #ports: readonly number[] = [];
  /** The generation of netfilter at which the table was found right. */
  #rightAt: number | undefined;

  /** Belongs to the namespace in which it is made. The table stays. */
  [Symbol.dispose](): void {
    this.#socket.closeAside();
  }

  /** Of the networks of this node, in any order. */
  setPorts(ports: Iterable<number>): void {
    const wanted = [...new Set(ports)].toSorted((a, b) => a - b);
    if (wanted.join() === this.#ports.join()) return;
    this.#ports = wanted;
    this.#rightAt = undefined;
    // A daemon that starts finds the table of the former one.
    if (wanted.length === 0 || this.#difference() !== undefined) this.#write();
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
    this.#write();
    return [{ kind: 'nft', what: `${what} in the host's table of VXLAN` }];
  }

  clear(): void {
    this.#ports = [];
    this.#rightAt = undefined;
    this.#socket.commit(removeTable(tableName));
  }

  #difference(): string | undefined {
    return this.#ports.length === 0
      ? undefined
      : difference(this.#socket, tableFor(this.#ports), new Map());
  }

  #write(): void {
    const table = this.#ports.length === 0 ? [] : addTable(tableFor(this.#ports));
    this.#socket.commit([...removeTable(tableName), ...table]);
  }
}

function tableFor(ports: readonly number[]): Table {
  return {
    ...tableName,
    sets: [],
    chains: hooks.map((at) => ({
      name: at,
      base: { type: 'filter', at, priority: priorities.raw },
      rules: ports.map((port) => [
        isProtocol('udp'),
        equals(packet.destinationPort, be16(port)),
        notrack,
      ]),
    })),
  };
}
