/** Compares what the hosts' kernels and resolvers hold of networks with what the managers say. */
import { strict as assert } from 'node:assert';
import { turnsIpv6Off, withoutIpv6 } from '../../types/index.ts';
import { derivedAddress } from '../../worker/network/mesh-ipv6.ts';
import {
  addressText,
  canonicalAddress,
  canonicalCidr,
  parseCidr,
} from '../../worker/network/netlink/wire.ts';
import { until, type Host } from '../lab/index.ts';
import { isIpv6 } from './network-peers.ts';
import type { TaskView, TestSwarm } from './swarm.ts';
import { factsOfHost, type HostFacts } from './network-facts.ts';

interface WireNetwork {
  readonly Id: string;
  readonly EnableIPv6: boolean;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Ingress: boolean;
  readonly Internal: boolean;
  readonly Options: Readonly<Record<string, string>> | null;
}

interface WireService {
  readonly ID: string;
  readonly Spec: { readonly Name: string };
  readonly Endpoint?: {
    readonly VirtualIPs?: readonly { readonly NetworkID: string; readonly Addr: string }[];
    readonly Ports?: readonly {
      readonly Protocol: string;
      readonly TargetPort: number;
      readonly PublishedPort: number;
      readonly PublishMode: string;
    }[];
  };
}

interface WireTask {
  readonly ID: string;
  readonly ServiceID?: string;
  readonly NodeID?: string;
  readonly DesiredState: string;
  readonly Spec: {
    readonly ContainerSpec?: { readonly Sysctls?: Readonly<Record<string, string>> };
  };
  readonly Status: {
    readonly State: string;
    readonly ContainerStatus?: { readonly ContainerID?: string };
  };
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly ID: string };
    readonly Addresses?: readonly string[];
  }[];
}

const vniOption = 'com.docker.network.driver.overlay.vxlanid_list';

/** One task on one network, for as long as it holds its address. */
interface Member {
  readonly networkId: string;
  readonly serviceId: string;
  readonly host: Host;
  /** Empty while there is none that runs. */
  readonly containerId: string;
  readonly cidr: string;
  /** By which it is reached: of its IPv4 address. */
  readonly mac: string;
  readonly isActive: boolean;
}

/** The swarm as the managers' API shows it. */
interface Store {
  readonly networks: readonly WireNetwork[];
  readonly services: readonly WireService[];
  readonly members: readonly Member[];
}

/** The pin of the namespace of a task's container, on its host. */
export function netnsOf(swarm: TestSwarm, task: TaskView): string {
  const host = swarm.host(task.host);
  const container = host.containers().find(({ id }) => id.endsWith(task.id));
  assert.ok(container !== undefined, `the container of task ${task.id} runs on ${task.host}`);
  return `${host.runRoot}/netns/${container.id}`;
}

/** The virtual address of the service on the network. */
export async function vipOf(swarm: TestSwarm, service: string, network: string): Promise<string> {
  const { Id: id } = await swarm.manager.api<WireNetwork>('GET', `/networks/${network}`);
  const { Endpoint } = await swarm.manager.api<WireService>('GET', `/services/${service}`);
  const vip = Endpoint?.VirtualIPs?.find(({ NetworkID }) => NetworkID === id);
  assert.ok(vip !== undefined, `service ${service} has a virtual address on ${network}`);
  return withoutPrefix(vip.Addr);
}

/**
 * Waits until every host that is up has exactly what the managers say: forwarding entries,
 * neighbours, addresses, balancing maps, answers to names. Names what differs where it does not.
 * Returns when the look began that found nothing, as `performance.now` tells it.
 */
export async function tablesAreRight(swarm: TestSwarm, timeoutMs = 60_000): Promise<number> {
  let differing: readonly string[] = ['nobody has looked yet'];
  const look = async () => {
    const atMs = performance.now();
    differing = await differences(swarm);
    return atMs;
  };
  try {
    const accept = () => differing.length === 0;
    return await until('the hosts have what the managers say', look, {
      accept,
      timeoutMs,
      everyMs: 100,
    });
  } catch (error) {
    throw new Error(`${String(error)}\n${differing.join('\n')}`, { cause: error });
  }
}

/** What one has and the other has not, a line each. */
export async function differences(swarm: TestSwarm): Promise<readonly string[]> {
  const store = await readStore(swarm);
  const hosts = swarm.hosts.filter((host) => host.isUp);
  const names = namesAsked(store);
  const found = new Map(
    await Promise.all(hosts.map(async (host) => [host, await factsOfHost(host, names)] as const)),
  );
  const bridges = meshBridges(swarm, store, found);
  return [...found].flatMap(([host, { facts }]) => {
    const wanted = wantedOf(host, store, bridges);
    return [
      ...[...wanted.difference(facts)].map((fact) => `${host.name} lacks: ${fact}`),
      ...[...facts.difference(wanted)].map((fact) => `${host.name} should not have: ${fact}`),
    ];
  });
}

/**
 * The addresses of the routing mesh's bridge on each host, which no API shows: its own, and of a
 * host that is down those that others still hold for it.
 */
function meshBridges(
  swarm: TestSwarm,
  { networks, members }: Store,
  found: ReadonlyMap<Host, HostFacts>,
): ReadonlyMap<Host, readonly string[]> {
  const id = networks.find(({ Ingress }) => Ingress)?.Id ?? '';
  const ofTasks = new Set(members.map(({ mac }) => mac));
  const all = [...found.values()].flatMap(({ facts }) => [...facts]);
  const heldFor = (host: Host) =>
    all
      .filter((fact) => fact.startsWith(`network ${id}: `) && fact.endsWith(` at ${host.address}`))
      .map((fact) => fact.split(' ')[2] ?? '')
      .filter((mac) => !ofTasks.has(mac))
      .flatMap((mac) => [addressOf(mac), derivedAddress(id, addressOf(mac))]);
  return new Map(
    swarm.hosts.map((host) => {
      const addresses = found.get(host)?.bridges.get(id) ?? heldFor(host);
      return [host, [...new Set(addresses)]];
    }),
  );
}

async function readStore(swarm: TestSwarm): Promise<Store> {
  const { manager } = swarm;
  const [networks, services, tasks, nodes] = await Promise.all([
    manager.api<WireNetwork[]>('GET', '/networks'),
    manager.api<WireService[]>('GET', '/services'),
    manager.api<WireTask[]>('GET', '/tasks'),
    swarm.nodes(),
  ]);
  const ended = ['complete', 'failed', 'shutdown', 'rejected', 'orphaned', 'remove'];
  const members = tasks
    .filter(({ Status }) => !ended.includes(Status.State))
    .flatMap((task) => {
      const node = nodes.find(({ id }) => id === task.NodeID);
      if (node === undefined) return [];
      const isActive = task.Status.State === 'running' && task.DesiredState === 'running';
      return (task.NetworksAttachments ?? []).flatMap(({ Network, Addresses = [] }) =>
        withIpv6(task, networks, Network.ID, Addresses).map((cidr) => ({
          networkId: Network.ID,
          serviceId: task.ServiceID ?? '',
          host: swarm.host(node.host),
          containerId: isActive ? (task.Status.ContainerStatus?.ContainerID ?? '') : '',
          cidr: canonicalCidr(cidr),
          mac: macOf(withoutPrefix(Addresses[0] ?? '')),
          isActive: isActive && node.state === 'ready',
        })),
      );
    });
  const overlays = networks.filter(
    ({ Driver, Scope }) => Driver === 'overlay' && Scope === 'swarm',
  );
  return { networks: overlays, services, members };
}

/** With the one that every node derives, where the routing mesh's network was made without IPv6. */
function withIpv6(
  { Spec }: WireTask,
  networks: readonly WireNetwork[],
  networkId: string,
  addresses: readonly string[],
): readonly string[] {
  if (turnsIpv6Off(Spec.ContainerSpec?.Sysctls)) return withoutIpv6(addresses);
  const isDerived = networks.some(
    ({ Id, Ingress, EnableIPv6 }) => Id === networkId && Ingress && !EnableIPv6,
  );
  if (!isDerived) return addresses;
  return [...addresses, ...addresses.map((cidr) => derivedAddress(networkId, cidr))];
}

/** What each container is to ask: the services on its networks, and their tasks. */
function namesAsked({ networks, services, members }: Store): ReadonlyMap<string, string[]> {
  const ingressId = networks.find(({ Ingress }) => Ingress)?.Id;
  const namesOf = (networkId: string) =>
    services
      .filter(({ ID }) => isOn(ID, networkId, members))
      .flatMap(({ Spec }) => [Spec.Name, `tasks.${Spec.Name}`]);
  const asked = new Map<string, string[]>();
  for (const { containerId, networkId } of members) {
    if (containerId === '' || networkId === ingressId) continue;
    asked.set(containerId, [...(asked.get(containerId) ?? []), ...namesOf(networkId)]);
  }
  return asked;
}

function isOn(serviceId: string, networkId: string, members: readonly Member[]): boolean {
  return members.some((one) => one.serviceId === serviceId && one.networkId === networkId);
}

function wantedOf(
  host: Host,
  store: Store,
  meshBridgesOf: ReadonlyMap<Host, readonly string[]>,
): Set<string> {
  const { networks, members } = store;
  const wanted = new Set<string>();
  for (const { Id, Ingress, Options } of networks) {
    const here = members.some((member) => member.host === host && member.networkId === Id);
    if (!here && !Ingress) continue;
    wanted.add(`network ${Id}`);
    wanted.add(`network ${Id}: the bridge is up`);
    wanted.add(`network ${Id}: the tunnel ${Options?.[vniOption]} is up in the bridge`);
    const remote = members
      .filter((member) => member.networkId === Id && member.host !== host)
      .map(({ cidr, mac, host: { address: at } }) => ({ cidr, mac, at }));
    const bridges = Ingress
      ? [...meshBridgesOf].flatMap(([other, cidrs]) => {
          const mac = macOf(withoutPrefix(cidrs[0] ?? ''));
          return other === host ? [] : cidrs.map((cidr) => ({ cidr, mac, at: other.address }));
        })
      : [];
    for (const { cidr, mac, at } of [...remote, ...bridges]) {
      const address = withoutPrefix(cidr);
      wanted.add(`network ${Id}: ${mac} is at ${at}`);
      wanted.add(`network ${Id}: the bridge sends ${mac} out`);
      wanted.add(`network ${Id}: ${address} is ${mac}`);
    }
  }
  for (const fact of meshOf(store)) wanted.add(fact);
  const running = members.filter((one) => one.host === host && one.containerId !== '');
  for (const [containerId, attached] of Map.groupBy(running, (one) => one.containerId)) {
    for (const { cidr, mac, networkId } of attached) {
      wanted.add(`container ${containerId} has ${cidr}`);
      wanted.add(`network ${networkId}: the bridge leads ${mac} to a container`);
    }
    for (const fact of routesOf(attached, networks)) {
      wanted.add(`container ${containerId} ${fact}`);
    }
    const ids = new Set(attached.map(({ networkId }) => networkId));
    for (const fact of balanceOf(ids, store)) wanted.add(`container ${containerId} ${fact}`);
  }
  return wanted;
}

function routesOf(
  attached: readonly Member[],
  networks: readonly WireNetwork[],
): readonly string[] {
  const on = networks.filter(({ Id }) => attached.some(({ networkId }) => networkId === Id));
  return [
    ...attached.map(({ cidr }) => `has a route to ${subnetOf(cidr)}`),
    ...(on.some(({ Internal }) => !Internal) ? ['has a route to default'] : []),
    ...(on.some(({ Ingress }) => Ingress) ? ['sends replies back by the mesh'] : []),
    ...(on.some(({ Id, Ingress }) => Ingress && hasIpv6(Id, attached))
      ? ['has a route to default by IPv6', 'sends replies back by the mesh by IPv6']
      : []),
  ];
}

function hasIpv6(networkId: string, members: readonly Member[]): boolean {
  return members.some((one) => one.networkId === networkId && one.cidr.includes(':'));
}

/** Where published ports lead, which is the same on every host. */
function meshOf({ networks, services, members }: Store): readonly string[] {
  const id = networks.find(({ Ingress }) => Ingress)?.Id;
  return services.flatMap(({ ID, Endpoint }) => {
    const active = members.filter(
      (one) => one.networkId === id && one.serviceId === ID && one.isActive,
    );
    return (Endpoint?.Ports ?? [])
      .filter(({ PublishMode }) => PublishMode === 'ingress')
      .flatMap(({ Protocol, PublishedPort, TargetPort }) => [
        `host publishes ${Protocol} ${PublishedPort} by IPv4`,
        ...(active.length === 0 || hasIpv6(id ?? '', active)
          ? [`host publishes ${Protocol} ${PublishedPort} by IPv6`]
          : []),
        ...active.map(({ cidr }) => {
          const backend = `${withoutPrefix(cidr)}:${TargetPort}`;
          return `mesh leads ${Protocol} ${PublishedPort} to ${backend}`;
        }),
      ]);
  });
}

/** Where names and virtual addresses lead for a container that is on these networks. */
function balanceOf(networkIds: ReadonlySet<string>, store: Store): readonly string[] {
  const facts: string[] = [];
  for (const { Id, Ingress } of store.networks.filter(({ Id: id }) => networkIds.has(id))) {
    for (const { ID, Spec, Endpoint } of store.services) {
      const all = store.members.filter((one) => one.networkId === Id && one.serviceId === ID);
      const active = all.filter(({ isActive }) => isActive).map(({ cidr }) => withoutPrefix(cidr));
      const vips = (Endpoint?.VirtualIPs ?? [])
        .filter(({ NetworkID }) => NetworkID === Id)
        .map(({ Addr }) => withoutPrefix(Addr));
      for (const vip of vips) {
        const same = active.filter((address) => isIpv6(address) === isIpv6(vip));
        for (const backend of same) facts.push(`leads ${vip} to ${backend}`);
        if (same.length === 0) facts.push(`refuses ${vip}`);
      }
      if (Ingress || all.length === 0) continue;
      // Names are asked for addresses of IPv4.
      const asked = (addresses: readonly string[]) =>
        addresses
          .filter((address) => !isIpv6(address))
          .toSorted()
          .join(', ');
      facts.push(`finds ${Spec.Name} at ${asked(vips.length === 0 ? active : vips)}`);
      facts.push(`finds tasks.${Spec.Name} at ${asked(active)}`);
    }
  }
  return facts;
}

/** As the kernel writes it. */
function withoutPrefix(cidr: string): string {
  return canonicalAddress(cidr.split('/')[0] ?? '');
}

/** "10.0.1.0/24" of "10.0.1.7/24", and the same of IPv6. */
function subnetOf(cidr: string): string {
  const { bytes, prefix } = parseCidr(cidr);
  const base = bytes.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * index));
    return byte & (0xff << (8 - bits));
  });
  return `${addressText(Buffer.from(base))}/${prefix}`;
}

/** As every node makes it from an IPv4 address. */
function macOf(address: string): string {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return ['02', '42', ...bytes].join(':');
}

function addressOf(mac: string): string {
  return mac
    .split(':')
    .slice(2)
    .map((byte) => parseInt(byte, 16))
    .join('.');
}
