/** Compares forwarding entries and neighbours of a vxlan device with what they should be. Pure. */
import type { ForwardingEntry, Neighbour, Request } from '../netlink.ts';
import {
  removeForwarding,
  removeNeighbour,
  setForwarding,
  setNeighbour,
} from '../netlink/neighbours.ts';
import type { Repair } from '../part.ts';
import type { Remote } from './forwarding.ts';

export function auditEntries(
  wanted: ReadonlyMap<string, Remote>,
  vxlan: number,
  kernel: {
    readonly entries: readonly ForwardingEntry[];
    readonly neighbours: readonly Neighbour[];
  },
): { readonly requests: readonly Request[]; readonly repairs: readonly Repair[] } {
  const requests: Request[] = [];
  const repairs: Repair[] = [];
  const own = new Map<string, (string | undefined)[]>();
  const ofBridge = new Set<string>();
  for (const entry of kernel.entries) {
    if (entry.linkIndex !== vxlan) continue;
    if (!entry.ofBridge) {
      own.set(entry.mac, [...(own.get(entry.mac) ?? []), entry.destination]);
    } else if (entry.isStatic) {
      ofBridge.add(entry.mac);
    }
  }
  for (const [mac, destinations] of own) {
    const [destination, second] = destinations;
    const { destination: right } = wanted.get(mac) ?? {};
    if (second === undefined && destination === right) continue;
    // The kernel replaces only the first of several.
    requests.push(removeForwarding(vxlan, mac, 'own'));
    own.delete(mac);
    if (right === undefined) repairs.push({ kind: 'fdb', what: `${mac} that nobody has` });
  }
  for (const mac of ofBridge) {
    if (wanted.has(mac)) continue;
    requests.push(removeForwarding(vxlan, mac, 'bridge'));
    repairs.push({ kind: 'fdb', what: `${mac} of the bridge that nobody has` });
  }
  for (const [mac, { destination }] of wanted) {
    if (own.has(mac) && ofBridge.has(mac)) continue;
    requests.push(setForwarding(vxlan, mac, destination));
    repairs.push({ kind: 'fdb', what: `${mac} at ${destination}` });
  }
  auditNeighbours(wanted, vxlan, kernel.neighbours, { requests, repairs });
  return { requests, repairs };
}

function auditNeighbours(
  wanted: ReadonlyMap<string, Remote>,
  vxlan: number,
  neighbours: readonly Neighbour[],
  into: { readonly requests: Request[]; readonly repairs: Repair[] },
): void {
  const macOf = new Map<string, string>();
  for (const [mac, { addresses }] of wanted) {
    for (const address of addresses) macOf.set(address, mac);
  }
  const right = new Set<string>();
  for (const { linkIndex, address, mac, isPermanent } of neighbours) {
    if (linkIndex !== vxlan || !isPermanent) continue;
    if (macOf.get(address) === mac) {
      right.add(address);
    } else if (!macOf.has(address)) {
      into.requests.push(removeNeighbour(vxlan, address));
      into.repairs.push({ kind: 'neighbour', what: `${address} that nobody has` });
    }
  }
  for (const [address, mac] of macOf) {
    if (right.has(address)) continue;
    into.requests.push(setNeighbour(vxlan, address, mac));
    into.repairs.push({ kind: 'neighbour', what: `${address} at ${mac}` });
  }
}
