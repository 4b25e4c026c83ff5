/**
 * Who is on which network, and which addresses are held there: computed from the objects with every
 * change, so that nothing can leak.
 */
import type { Network, Node, Service, Task } from '../../types/index.ts';
import { Groups } from './groups.ts';
import type { Rows } from './rows.ts';
import { attachmentsOf, holdsAddresses, publishesIngress, withoutPrefix } from './view.ts';

const nobody: ReadonlyMap<string, string> = new Map();
/** Services on the routing mesh, and nodes, are on its network whichever it is. */
const mesh = '';

export class NetworkUse {
  readonly #tasks = new Groups<Task>();
  readonly #services = new Groups<Service>();
  /** Holders by address, by network. */
  readonly #addresses = new Map<string, Map<string, string>>();
  readonly #nodes = new Map<string, readonly string[]>();
  #ingressId = '';

  /** Empty where there is no such network. */
  get ingressId(): string {
    return this.#ingressId;
  }

  tasks(networkId: string): Iterable<Task> {
    return this.#tasks.of(networkId)?.values() ?? [];
  }

  services(networkId: string): Iterable<Service> {
    if (networkId === mesh) return [];
    const named = this.#services.of(networkId)?.values() ?? [];
    if (networkId !== this.#ingressId) return named;
    return new Set([...(this.#services.of(mesh)?.values() ?? []), ...named]);
  }

  addresses(networkId: string): ReadonlyMap<string, string> {
    return this.#addresses.get(networkId) ?? nobody;
  }

  taskChanged(old: Task | undefined, next: Task | undefined): void {
    if (old?.networks === undefined && next?.networks === undefined) return;
    const before = old !== undefined && holdsAddresses(old) ? old : undefined;
    const after = next !== undefined && holdsAddresses(next) ? next : undefined;
    if (before !== undefined && before.networks !== after?.networks) {
      for (const { networkId, addresses } of before.networks ?? []) {
        this.#tasks.delete(networkId, before.id);
        this.#release(networkId, addresses, before.id);
      }
    }
    for (const { networkId, addresses } of after?.networks ?? []) {
      this.#tasks.set(networkId, after!);
      if (before?.networks !== after!.networks) this.#hold(networkId, addresses, after!.id);
    }
  }

  serviceChanged(old: Service | undefined, next: Service | undefined): void {
    if (old !== undefined) {
      for (const key of keysOf(old)) this.#services.delete(key, old.id);
      for (const { networkId, address } of old.virtualIps ?? []) {
        this.#release(networkId, [address], old.id);
      }
    }
    if (next === undefined) return;
    for (const key of keysOf(next)) this.#services.set(key, next);
    for (const { networkId, address } of next.virtualIps ?? []) {
      this.#hold(networkId, [address], next.id);
    }
  }

  nodeChanged(old: Node | undefined, next: Node | undefined): void {
    if (old?.ingressAddresses === next?.ingressAddresses) return;
    if (old?.ingressAddresses !== undefined) {
      this.#nodes.delete(old.id);
      if (this.#ingressId !== '') this.#release(this.#ingressId, old.ingressAddresses, old.id);
    }
    if (next?.ingressAddresses === undefined) return;
    this.#nodes.set(next.id, next.ingressAddresses);
    if (this.#ingressId !== '') this.#hold(this.#ingressId, next.ingressAddresses, next.id);
  }

  networkChanged(old: Network | undefined, next: Network | undefined): void {
    const wasMesh = old?.spec.ingress === true;
    const isMesh = next?.spec.ingress === true;
    if (wasMesh === isMesh) return;
    // In one entry another network may have become the mesh's already.
    if (wasMesh && this.#ingressId === old.id) this.#moveMesh('');
    if (isMesh) this.#moveMesh(next.id);
  }

  clear(): void {
    this.#tasks.clear();
    this.#services.clear();
    this.#addresses.clear();
    this.#nodes.clear();
    this.#ingressId = '';
  }

  /** What differs from the same computed anew; and addresses that two hold. */
  audit(rows: Rows): string[] {
    const wrong: string[] = [];
    const expected = new Map<string, string>();
    const claim = (networkId: string, address: string, id: string) => {
      const key = `${networkId}/${withoutPrefix(address)}`;
      const other = expected.get(key);
      if (other !== undefined) wrong.push(`address ${key} is held by ${other} and by ${id}`);
      expected.set(key, id);
    };
    const members = new Set<object>();
    for (const task of rows.task.values()) {
      if (!holdsAddresses(task)) continue;
      for (const { networkId, addresses } of task.networks ?? []) {
        for (const address of addresses) claim(networkId, address, task.id);
        if (this.#tasks.of(networkId)?.get(task.id) !== task) {
          wrong.push(`task ${task.id} is not listed on network ${networkId}`);
        }
        members.add(task);
      }
    }
    for (const service of rows.service.values()) {
      for (const { networkId, address } of service.virtualIps ?? []) {
        claim(networkId, address, service.id);
      }
      for (const key of keysOf(service)) {
        if (this.#services.of(key)?.get(service.id) !== service) {
          wrong.push(`service ${service.id} is not listed on network ${key || 'of the mesh'}`);
        }
        members.add(service);
      }
    }
    const ingress = [...rows.network.values()].find(({ spec }) => spec.ingress === true)?.id ?? '';
    if (ingress !== this.#ingressId) wrong.push(`the mesh's network is ${ingress}`);
    for (const { id, ingressAddresses = [] } of rows.node.values()) {
      for (const address of ingress === '' ? [] : ingressAddresses) claim(ingress, address, id);
    }
    return [...wrong, ...this.#strangers(members), ...this.#differences(expected)];
  }

  #strangers(members: ReadonlySet<object>): string[] {
    const wrong: string[] = [];
    for (const [what, groups] of [
      ['task', this.#tasks],
      ['service', this.#services],
    ] as const) {
      for (const key of groups.keys()) {
        for (const object of groups.of(key)?.values() ?? []) {
          if (members.has(object)) continue;
          wrong.push(`${what} ${object.id} is wrongly listed on network ${key}`);
        }
      }
    }
    return wrong;
  }

  #differences(expected: ReadonlyMap<string, string>): string[] {
    const wrong: string[] = [];
    let present = 0;
    for (const [networkId, holders] of this.#addresses) {
      for (const [address, holder] of holders) {
        present += 1;
        const want = expected.get(`${networkId}/${address}`);
        if (want === holder) continue;
        wrong.push(`address ${networkId}/${address} is noted for ${holder}, not ${want}`);
      }
    }
    if (present < expected.size) {
      wrong.push(`${expected.size} addresses are held, and ${present} are noted`);
    }
    return wrong;
  }

  #moveMesh(ingressId: string): void {
    const before = this.#ingressId;
    for (const [id, addresses] of this.#nodes) {
      if (before !== '') this.#release(before, addresses, id);
      if (ingressId !== '') this.#hold(ingressId, addresses, id);
    }
    this.#ingressId = ingressId;
  }

  #hold(networkId: string, addresses: readonly string[], id: string): void {
    if (addresses.length === 0) return;
    let holders = this.#addresses.get(networkId);
    if (holders === undefined) this.#addresses.set(networkId, (holders = new Map()));
    for (const address of addresses) holders.set(withoutPrefix(address), id);
  }

  #release(networkId: string, addresses: readonly string[], id: string): void {
    const holders = this.#addresses.get(networkId);
    if (holders === undefined) return;
    for (const prefixed of addresses) {
      const address = withoutPrefix(prefixed);
      if (holders.get(address) === id) holders.delete(address);
    }
    if (holders.size === 0) this.#addresses.delete(networkId);
  }
}

function keysOf({ spec }: Service): Set<string> {
  const keys = new Set(attachmentsOf(spec.task).map(({ target }) => target));
  if (publishesIngress(spec)) keys.add(mesh);
  return keys;
}
