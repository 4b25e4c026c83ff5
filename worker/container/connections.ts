/** What connects a container with the world: its network, its published ports, its own files. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerFiles } from '../executor/container-files.ts';
import type { LocalNetworks } from '../network/local/index.ts';
import type { Attachment, NetworkDriver } from '../network/network.ts';
import { macOf, parseAddress } from '../network/subnet.ts';
import type { ContainerConfig } from '../runtime/runtime.ts';
import type { Volumes } from '../volume/index.ts';
import { mountsOf } from './mounts.ts';
import { parsePort, portRequests } from './port-requests.ts';
import type { PublishedPorts } from './published-ports.ts';
import type { BoundPort, ContainerRecord, NetworkView } from './view.ts';

const shortIdLength = 12;

export interface Connection {
  readonly runtime: ContainerConfig['network'];
  readonly mounted: ContainerConfig['files'];
  readonly network?: NetworkView;
  readonly ports: readonly BoundPort[];
  /** Where the files are on the host, by their targets. */
  readonly files: Readonly<Record<string, string>>;
}

/** What is mounted in a container, with the folders of its volumes. */
export type ConnectedMounts = ContainerConfig['mounts'];

/** The networks of this node that people have made. */
export type OwnNetworks = Pick<LocalNetworks, 'get' | 'reserve' | 'release'>;

export interface ConnectionsDeps {
  readonly network: NetworkDriver;
  readonly ownNetworks: OwnNetworks;
  readonly ports: PublishedPorts;
  readonly files: ContainerFiles;
  readonly volumes: Pick<Volumes, 'connect' | 'adopt' | 'disconnect' | 'viewsOf'>;
  /** The connection of another container that runs. Throws SwarmError. */
  readonly sharedWith: (nameOrId: string) => Connection & { readonly pid: number };
}

export class Connections {
  readonly #deps: ConnectionsDeps;
  readonly #open = new Map<string, Connection>();

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps;
  }

  of(id: string): Connection | undefined {
    return this.#open.get(id);
  }

  async connect(record: ContainerRecord): Promise<Connection> {
    const connection = await this.#connect(record);
    this.#open.set(record.id, connection);
    return connection;
  }

  /** Its volumes, ready for the runtime. */
  mounts(record: ContainerRecord): Promise<ConnectedMounts> {
    const mounts = wantedMounts(record);
    const { volumes } = this.#deps;
    return volumes.connect({ containerId: record.id, mounts, image: record.rootfs });
  }

  viewsOfMounts(record: ContainerRecord) {
    return this.#deps.volumes.viewsOf(wantedMounts(record));
  }

  /** The container ran on while no daemon was there. */
  async adopt(record: ContainerRecord): Promise<Connection> {
    this.#deps.volumes.adopt(record.id, wantedMounts(record));
    const ports = this.#deps.ports.of(record.id);
    const connection = await this.#connect(record, ports);
    this.#open.set(record.id, connection);
    return connection;
  }

  /** One that is not connected is not an error. */
  async disconnect({ id }: Pick<ContainerRecord, 'id'>): Promise<void> {
    const { files, network, ports, volumes } = this.#deps;
    this.#open.delete(id);
    await ports.withdraw(id);
    await network.detach(id);
    await files.remove(id);
    await volumes.disconnect(id);
  }

  async #connect(record: ContainerRecord, adopted?: readonly BoundPort[]): Promise<Connection> {
    const { networkMode } = record.host;
    if (networkMode.startsWith('container:')) {
      return this.#share(networkMode.slice('container:'.length));
    }
    if (networkMode === 'host') return this.#onHost(record);
    const { network, ports } = this.#deps;
    const { id } = record;
    const attachment = await this.#attach(record);
    try {
      const [address = ''] = attachment.addresses;
      const ip = address.split('/')[0] ?? '';
      const requests = ip === '' ? [] : portRequests(record.config, record.host);
      const published = adopted ?? (await ports.publish(id, ip, requests));
      const mounted = await this.#write(record, ip === '' ? 'none' : 'bridge', attachment);
      return {
        runtime: { kind: 'path', path: attachment.netnsPath },
        mounted,
        network: {
          netnsPath: attachment.netnsPath,
          address,
          gateway: attachment.gateway ?? '',
          macAddress: ip === '' ? '' : macOf(parseAddress(ip)),
        },
        ports: ip === '' ? [] : withExposed(published, record),
        files: byTarget(mounted),
      };
    } catch (error) {
      await ports.withdraw(id);
      await network.detach(id);
      throw error;
    }
  }

  async #attach({ id, name, aliases, config, host }: ContainerRecord): Promise<Attachment> {
    const { network, ownNetworks } = this.#deps;
    const { networkMode } = host;
    if (config.networkDisabled || networkMode === 'none') {
      return network.attach({ containerId: id, mode: 'none', ports: [] });
    }
    if (networkMode === 'bridge') {
      return network.attach({ containerId: id, mode: 'bridge', ports: [] });
    }
    const networkId = ownNetworks.get(networkMode)?.id;
    if (networkId === undefined) {
      throw new SwarmError('not-found', `network ${networkMode} not found`);
    }
    const addresses = ownNetworks.reserve(networkId, id);
    const names = [name, id.slice(0, shortIdLength), ...aliases];
    const nameservers = host.dns ?? [];
    try {
      return await network.attach({
        containerId: id,
        mode: 'bridge',
        networks: [{ networkId, addresses, aliases: names }],
        ...(nameservers.length === 0 ? {} : { nameservers }),
        ports: [],
      });
    } catch (error) {
      ownNetworks.release(networkId, id);
      throw error;
    }
  }

  #share(nameOrId: string): Connection {
    const { pid, mounted, files } = this.#deps.sharedWith(nameOrId);
    return {
      runtime: { kind: 'path', path: `/proc/${pid}/ns/net` },
      mounted,
      files,
      ports: [],
    };
  }

  async #onHost(record: ContainerRecord): Promise<Connection> {
    const mounted = await this.#write(record, 'host', { addresses: [] });
    return { runtime: { kind: 'host' }, mounted, ports: [], files: byTarget(mounted) };
  }

  async #write(
    { id, config, host }: ContainerRecord,
    networkMode: 'bridge' | 'host' | 'none',
    { addresses, gateway, resolver }: Pick<Attachment, 'addresses' | 'gateway' | 'resolver'>,
  ): Promise<ContainerConfig['files']> {
    const lines = (host.extraHosts ?? []).map((entry) => hostLine(entry, gateway));
    return this.#deps.files.write({
      containerId: id,
      hostname: config.hostname,
      networkMode,
      addresses,
      ...(resolver === undefined ? {} : { resolver }),
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

export function wantedMounts({ config, host, mounts }: ContainerRecord) {
  return mounts ?? mountsOf(config, host);
}

/** "name:address"; `host-gateway` stands for this host. */
function hostLine(entry: string, gateway = '127.0.0.1'): string {
  const [, name = '', address = ''] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? [];
  if (name === '') {
    throw new SwarmError('invalid-argument', `bad format for add-host: "${entry}"`);
  }
  return `${address === 'host-gateway' ? gateway : address.replace(/^\[|\]$/g, '')} ${name}`;
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
