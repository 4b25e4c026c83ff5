/** What connects a container with the world: its network, its published ports, its own files. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerFiles } from '../executor/container-files.ts';
import type { PortPublisher } from '../network/index.ts';
import type { Attachment, AttachRequest, NetworkDriver } from '../network/network.ts';
import type { ContainerConfig, PinnedMount } from '../runtime/runtime.ts';
import type { Volumes } from '../volume/index.ts';
import { mountsOf } from './mounts.ts';
import type { NetworkEvents } from './events.ts';
import {
  bridgeId,
  connectedNetwork,
  Joining,
  taskNetworkOf,
  type OwnNetworks,
  type Place,
  type SwarmNetworks,
} from './joining.ts';
import type { Links } from './links.ts';
import { parsePort, portRequests } from './port-requests.ts';
import type {
  BoundPort,
  ConnectedNetwork,
  ContainerRecord,
  ContainerState,
  WantedNetwork,
} from './view.ts';

interface Connection {
  readonly runtime: ContainerConfig['network'];
  readonly mounted: ContainerConfig['files'];
  /** Absent where it is another's or the host's. */
  readonly netnsPath?: string;
  readonly networks: readonly ConnectedNetwork[];
  /** Where its published ports lead to: one for each family; none: nowhere. */
  readonly addresses: readonly string[];
  readonly ports: readonly BoundPort[];
  /** Where the files are on the host, by their targets. */
  readonly files: Readonly<Record<string, string>>;
}

/** What is mounted in a container, with the folders of its volumes. */
type ConnectedMounts = ContainerConfig['mounts'];

/** As events name it. */
type ToldNetwork = Pick<Place, 'networkId' | 'name' | 'driver'>;

interface ConnectionsDeps {
  readonly network: NetworkDriver;
  readonly ownNetworks: OwnNetworks;
  readonly swarmNetworks: SwarmNetworks;
  readonly ports: PortPublisher;
  readonly files: ContainerFiles;
  readonly volumes: Pick<Volumes, 'connect' | 'adopt' | 'disconnect' | 'viewsOf'>;
  readonly events: NetworkEvents;
  readonly links: Pick<Links, 'hosts'>;
  /** The connection of another container that runs. Throws SwarmError. */
  readonly sharedWith: (nameOrId: string) => Connection & { readonly pid: number };
}

export class Connections {
  readonly #deps: ConnectionsDeps;
  readonly #joining: Joining;
  readonly #open = new Map<string, Connection>();

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps;
    this.#joining = new Joining(deps.ownNetworks, deps.swarmNetworks);
  }

  of(id: string): Connection | undefined {
    return this.#open.get(id);
  }

  async connect(record: ContainerRecord): Promise<Connection> {
    const own = await this.#elsewhere(record);
    const connection = own ?? (await this.#connectNew(record));
    this.#open.set(record.id, connection);
    this.#tell('connect', record, bareNetwork(record));
    return connection;
  }

  /** Its volumes, ready for the runtime. */
  mounts(record: ContainerRecord): Promise<ConnectedMounts> {
    const mounts = wantedMounts(record);
    const { volumes } = this.#deps;
    return volumes.connect({ containerId: record.id, mounts, image: record.rootfs });
  }

  viewsOfMounts(record: ContainerRecord) {
    return this.#deps.volumes.viewsOf(record.id, wantedMounts(record));
  }

  /** The container ran on while no daemon was there, on these networks. */
  async adopt(
    record: ContainerRecord,
    networks: readonly ConnectedNetwork[] = [],
  ): Promise<Connection> {
    this.#deps.volumes.adopt(record.id, wantedMounts(record));
    let connection = await this.#elsewhere(record);
    if (connection === undefined) {
      const attachment = await this.#deps.network.attach(attachRequest(record, networks));
      this.#joining.arrived(networks);
      const ports = this.#deps.ports.of(record.id);
      connection = await this.#connection(record, attachment, { networks, ports });
    }
    this.#open.set(record.id, connection);
    return connection;
  }

  /** The container runs, and its record has other networks. Where it throws, all is as before. */
  async change(record: ContainerRecord): Promise<Connection> {
    const before = this.#open.get(record.id);
    if (before === undefined) throw new SwarmError('aborted', `container ${record.id} is not on`);
    const { network, ports } = this.#deps;
    const isPresent = (wanted: WantedNetwork) =>
      before.networks.some((one) => isNetwork(one, wanted.network));
    const come = record.networks.filter((wanted) => !isPresent(wanted));
    const isKept = (one: ConnectedNetwork) =>
      record.networks.some((wanted) => isNetwork(one, wanted.network));
    const kept = before.networks.filter(isKept);
    const gone = before.networks.filter((one) => !isKept(one));
    const places = await this.#joining.takeAll(record, come);
    try {
      const all = [...kept, ...places];
      const attachment = await network.change(attachRequest(record, all));
      const networks = all.map((place) => connectedNetwork(place, attachment));
      const addresses = leavesFrom(attachment);
      await this.#publishAnew(record, before.addresses, addresses);
      const published = addresses.length === 0 ? [] : ports.of(record.id);
      const connection = await this.#connection(record, attachment, { networks, ports: published });
      this.#open.set(record.id, connection);
      this.#joining.giveBack(record.id, gone);
      this.#tell('disconnect', record, gone);
      this.#arrive(record, places);
      return connection;
    } catch (error) {
      this.#joining.giveBack(record.id, places);
      throw error;
    }
  }

  async disconnect(record: ContainerRecord): Promise<void> {
    this.tellLeft(record, await this.leave(record));
  }

  /** What it has left, which is yet to be told. One that is not connected is not an error. */
  async leave(record: ContainerRecord): Promise<readonly ToldNetwork[]> {
    const { id } = record;
    const { files, network, ports, volumes } = this.#deps;
    const connection = this.#open.get(id);
    const networks = connection?.networks ?? [];
    this.#open.delete(id);
    await ports.withdraw(id);
    await network.detach(id);
    await files.remove(id);
    await volumes.disconnect(id);
    this.#joining.giveBack(id, networks);
    return connection === undefined ? [] : [...networks, ...bareNetwork(record)];
  }

  tellLeft(record: ContainerRecord, networks: readonly ToldNetwork[]): void {
    this.#tell('disconnect', record, networks);
  }

  /** Its ports are there whenever it has a way to be reached. */
  async #publishAnew(
    record: ContainerRecord,
    before: readonly string[],
    addresses: readonly string[],
  ): Promise<void> {
    const { ports } = this.#deps;
    if (addresses.join() === before.join()) return;
    if (ports.of(record.id).length > 0) ports.move(record.id, addresses);
    else await ports.publish(record.id, addresses, portRequests(record.config, record.host));
  }

  /** For containers that have no network namespace of their own. */
  async #elsewhere(record: ContainerRecord): Promise<Connection | undefined> {
    const { networkMode } = record.host;
    if (networkMode.startsWith('container:')) {
      return this.#share(networkMode.slice('container:'.length));
    }
    return networkMode === 'host' ? this.#onHost(record) : undefined;
  }

  async #connectNew(record: ContainerRecord): Promise<Connection> {
    const { network, ports } = this.#deps;
    const { id } = record;
    const places = await this.#joining.takeAll(record, record.networks);
    try {
      const attachment = await network.attach(attachRequest(record, places));
      const addresses = leavesFrom(attachment);
      const isReached = addresses.length > 0;
      if (!isReached) refusePorts(attachment, record);
      const requests = isReached ? portRequests(record.config, record.host) : [];
      const networks = places.map((place) => connectedNetwork(place, attachment));
      const published = await ports.publish(id, addresses, requests);
      const facts = { networks, ports: published };
      const connection = await this.#connection(record, attachment, facts);
      this.#arrive(record, places);
      return connection;
    } catch (error) {
      await ports.withdraw(id);
      await network.detach(id);
      this.#joining.giveBack(id, places);
      throw error;
    }
  }

  async #connection(
    record: ContainerRecord,
    attachment: Attachment,
    facts: Pick<Connection, 'networks' | 'ports'>,
  ): Promise<Connection> {
    const { netnsPath } = attachment;
    const addresses = leavesFrom(attachment);
    const mode = attachment.addresses.length === 0 ? 'none' : 'bridge';
    const mounted = await this.#write(record, mode, attachment);
    return {
      runtime: { kind: 'path', path: netnsPath },
      mounted,
      netnsPath,
      networks: facts.networks,
      addresses,
      ports: addresses.length === 0 ? [] : withExposed(facts.ports, record),
      files: byTarget(mounted),
    };
  }

  #arrive(record: Pick<ContainerRecord, 'id'>, places: readonly Place[]): void {
    this.#joining.arrived(places);
    this.#tell('connect', record, places);
  }

  #tell(
    action: 'connect' | 'disconnect',
    { id: container }: Pick<ContainerRecord, 'id'>,
    networks: readonly ToldNetwork[],
  ): void {
    for (const { networkId, name, driver } of networks) {
      this.#deps.events.tell(action, { id: networkId, name, driver }, { container });
    }
  }

  #share(nameOrId: string): Connection {
    const { pid, mounted, files } = this.#deps.sharedWith(nameOrId);
    return {
      runtime: { kind: 'path', path: `/proc/${pid}/ns/net` },
      mounted,
      files,
      networks: [],
      addresses: [],
      ports: [],
    };
  }

  async #onHost(record: ContainerRecord): Promise<Connection> {
    const mounted = await this.#write(record, 'host', { addresses: [] });
    const files = byTarget(mounted);
    return { runtime: { kind: 'host' }, mounted, networks: [], addresses: [], ports: [], files };
  }

  async #write(
    record: ContainerRecord,
    networkMode: 'bridge' | 'host' | 'none',
    { addresses, gateway, resolver }: Pick<Attachment, 'addresses' | 'gateway' | 'resolver'>,
  ): Promise<ContainerConfig['files']> {
    const { id, config, host } = record;
    const extra = (host.extraHosts ?? []).map(hostLine);
    const lines = [...extra, ...this.#deps.links.hosts(record)];
    return this.#deps.files.write({
      containerId: id,
      hostname: config.hostname,
      domainname: config.domainname,
      networkMode,
      addresses,
      ...(resolver === undefined ? {} : { resolver }),
      ...(gateway === undefined ? {} : { gateway }),
      spec: {
        image: '',
        hosts: lines,
        dnsConfig: {
          nameservers: host.dns ?? [],
          search: host.dnsSearch ?? [],
          options: host.dnsOptions ?? [],
        },
      },
    });
  }
}

export function wantedMounts({ config, host, mounts }: ContainerRecord): readonly PinnedMount[] {
  return mounts ?? mountsOf(config, host);
}

/** What Docker calls a network as well: the host's, or none at all. */
function bareNetwork({ host: { networkMode: name } }: ContainerRecord): readonly ToldNetwork[] {
  if (name === 'host') return [{ networkId: name, name, driver: 'host' }];
  return name === 'none' ? [{ networkId: name, name, driver: 'null' }] : [];
}

function attachRequest(record: ContainerRecord, places: readonly Place[]): AttachRequest {
  const nameservers = record.host.dns ?? [];
  const networks = places.filter(({ networkId }) => networkId !== bridgeId);
  const isOnBridge = networks.length < places.length;
  const onBridge = places.find(({ networkId }) => networkId === bridgeId);
  const { gwPriority: bridgePriority, chosenMac: bridgeMac } = onBridge ?? {};
  return {
    containerId: record.id,
    mode: places.length === 0 ? 'none' : 'bridge',
    isOnBridge,
    ...(bridgePriority === undefined ? {} : { bridgePriority }),
    ...(bridgeMac === undefined ? {} : { bridgeMac }),
    networks: networks.map((place) => taskNetworkOf(record, place)),
    ...(nameservers.length === 0 ? {} : { nameservers }),
    ports: [],
  };
}

/** Without prefixes, one for each family; none where ports cannot lead to it. */
function leavesFrom({ waysOut, addresses }: Attachment): readonly string[] {
  const internal = addresses.filter((cidr) => !cidr.includes(':')).slice(0, 1);
  return (waysOut ?? internal).map((cidr) => cidr.split('/')[0] ?? '');
}

/** Throws where ports are to be published of a container that has IPv6 alone, and no way out. */
function refusePorts({ addresses }: Attachment, { config, host }: ContainerRecord): void {
  if (addresses.length === 0 || portRequests(config, host).length === 0) return;
  throw new SwarmError(
    'unimplemented',
    'ports cannot be published of a container that is on internal networks of IPv6 alone: leave ' +
      'them out, or connect it to a network that leads out',
  );
}

/** By whatever the user calls it. */
export function isNetwork(
  { networkId, name }: Pick<ConnectedNetwork, 'networkId' | 'name'>,
  reference: string,
): boolean {
  return name === reference || networkId === reference;
}

/** "name:address" as /etc/hosts has it. */
function hostLine(entry: string): string {
  const [name = '', address = ''] = entry.split(/[:=](.*)/s, 2);
  return `${address.replace(/^\[|\]$/g, '')} ${name}`;
}

function withExposed(
  published: readonly BoundPort[],
  { config }: ContainerRecord,
): readonly BoundPort[] {
  const exposed = (config.exposedPorts ?? []).map(parsePort);
  const isPublished = (port: BoundPort) =>
    published.some(
      ({ containerPort, protocol }) =>
        containerPort === port.containerPort && protocol === port.protocol,
    );
  return [...published, ...exposed.filter((port) => !isPublished(port))];
}

function byTarget(mounted: ContainerConfig['files']): Record<string, string> {
  return Object.fromEntries(mounted.map(({ target, source }) => [target, source]));
}

/** What the next daemon is to know of it. */
export function reachedBy({ addresses, ports, networks }: Connection): Partial<ContainerState> {
  return { published: { addresses, ports }, connected: networks };
}
