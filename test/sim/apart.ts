/** What is never to be had twice, looked up in the objects: it is indexes that may be wrong. */
import type { Store } from '../../manager/store/index.ts';
import { isActive, isTerminal, type Network } from '../../types/index.ts';
import { Violation } from './violation.ts';

export function addressesApart(store: Store): void {
  const holders = new Map<string, string>();
  const hold = (networkId: string, address: string, who: string) => {
    const key = `${networkId}/${address.split('/')[0]}`;
    const holder = holders.get(key);
    if (holder !== undefined) {
      throw new Violation('an address is given once', `${holder} and ${who} have ${key}`);
    }
    holders.set(key, who);
  };
  const mesh = [...store.networks()].find(({ spec }) => spec.ingress === true);
  for (const { id, ingressAddresses = [] } of store.nodes()) {
    if (mesh !== undefined) for (const address of ingressAddresses) hold(mesh.id, address, id);
  }
  for (const { spec, virtualIps = [] } of store.services()) {
    for (const { networkId, address } of virtualIps) hold(networkId, address, spec.name);
  }
  for (const task of store.tasks()) {
    if (task.nodeId === '' || isTerminal(task.status.state)) continue;
    for (const { networkId, addresses } of task.networks ?? []) {
      const network = store.network(networkId);
      for (const address of addresses) {
        hold(networkId, address, task.name);
        if (network !== undefined) checkGateway(network, address, task.name);
      }
    }
  }
}

export function publishedApart(store: Store): void {
  const owners = new Map<string, string>();
  for (const { spec, ports = [] } of store.services()) {
    for (const { protocol, publishedPort, publishMode } of ports) {
      if (publishMode !== 'ingress') continue;
      const key = `${protocol}/${publishedPort}`;
      const owner = owners.get(key);
      if (owner !== undefined) {
        const both = `${owner} and ${spec.name} both publish ${key}`;
        throw new Violation('a port is given once', both);
      }
      owners.set(key, spec.name);
    }
  }
}

export function hostPortsApart(nodeId: string, store: Store): void {
  const holders = new Map<string, string>();
  for (const task of store.tasksOfNode(nodeId)) {
    const { name, ports } = task;
    if (!isActive(task)) continue;
    for (const { protocol, publishedPort } of ports ?? []) {
      const key = `${protocol}/${publishedPort}`;
      const holder = holders.get(key);
      if (holder !== undefined) {
        const both = `${holder} and ${name} are both given ${key} on ${nodeId}`;
        throw new Violation('a port is given once', both);
      }
      holders.set(key, name);
    }
  }
}

/** Each of a node's devices is one task's, and there are no more of them than the node has. */
export function devicesApart(nodeId: string, store: Store): void {
  const all = store.node(nodeId)?.description?.resources.genericResources ?? [];
  const holders = new Map<string, string>();
  const counts = new Map<string, number>();
  for (const task of store.tasksOfNode(nodeId)) {
    if (!isActive(task)) continue;
    for (const { named, discrete } of task.genericResources ?? []) {
      if (named !== undefined) {
        const key = `${named.kind}=${named.value}`;
        const holder = holders.get(key);
        const both = `${holder} and ${task.name} are both given ${key} of ${nodeId}`;
        if (holder !== undefined) throw new Violation('a device is given once', both);
        holders.set(key, task.name);
      }
      const { kind, value } = discrete ?? { kind: '', value: 0 };
      counts.set(kind, (counts.get(kind) ?? 0) + value);
    }
  }
  for (const [kind, count] of counts) {
    const has = all.reduce((sum, { discrete }) => {
      return discrete?.kind === kind ? sum + discrete.value : sum;
    }, 0);
    if (count <= has) continue;
    throw new Violation(
      'a device is given once',
      `${count} ${kind} of ${nodeId}, which has ${has}`,
    );
  }
}

function checkGateway({ spec, subnets }: Network, address: string, who: string): void {
  if (!subnets.some(({ gateway }) => address.startsWith(`${gateway}/`))) return;
  throw new Violation('an address is given once', `${who} has the gateway of ${spec.name}`);
}
