/**
 * Connects containers: a namespace each, the gateway bridge, and the networks of the swarm, of
 * which each part does what it knows. What is there is adopted, watched and put right.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert } from '../../lib/assert.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { Lock } from '../../lib/lock.ts';
import type { Logger } from '../../lib/log.ts';
import type { DataPath, NetworkAssignments, TaskNetwork } from '../../types/index.ts';
import { Attachments, type AttachmentRecord } from './attachments.ts';
import { AuditSchedule } from './audit-schedule.ts';
import { setUpContainerNamespace } from './container-interfaces.ts';
import { GatewayBridge, gatewayBridgeName, type GatewayOptions } from './gateway-bridge.ts';
import { LateConnections } from './late-connections.ts';
import type { LocalNetworks } from './local/index.ts';
import { derivedMesh, ownPlace, withMeshIpv6 } from './mesh-ipv6.ts';
import { Namespaces } from './namespace.ts';
import type { Attachment, AttachRequest, NetworkDriver } from './network.ts';
import type { OverlayNetworks, OverlayNode } from './overlay/index.ts';
import type { AttachedContainer, NetworkPart, Repair } from './part.ts';
import type { HostPorts, TaskPorts } from './ports/index.ts';
import { Quiet } from './quiet.ts';
import { withinReach } from './reach.ts';
import { RecordMaker } from './record-maker.ts';
import { noteRepairs } from './repair-notes.ts';
import type { NetlinkSockets } from './netlink-sockets.ts';
import { SpareNamespaces } from './spare-namespaces.ts';
import type { NetworkTables } from './tables.ts';
import type { Tunnels } from './tunnel/index.ts';
import { untilKnown } from './until-known.ts';

export interface ContainerNetworkOptions extends GatewayOptions {
  /** Pins and attachment records go here; not shared with another daemon. */
  readonly runRoot: string;
  /** Networks of this node are kept below it. */
  readonly dataRoot: string;
}

interface ContainerNetworkDeps {
  readonly tables: NetworkTables;
  readonly sockets: NetlinkSockets;
  readonly overlay: OverlayNetworks;
  readonly tunnels: Tunnels;
  /** Networks of this node alone; also one of the parts. */
  readonly local: LocalNetworks;
  /** Besides the overlay; told of everything after it. */
  readonly parts: readonly NetworkPart[];
  readonly ports: HostPorts;
  readonly taskPorts: TaskPorts;
  /** Where the swarm's names are answered in a container. */
  readonly resolver?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ContainerNetwork implements NetworkDriver {
  /** What audits have put right so far, by kind. */
  readonly repairs = new Map<string, number>();
  /** Told of each kind that an audit has put right, and how often. */
  onRepaired: ((kind: string, times: number) => void) | undefined;
  readonly #deps: ContainerNetworkDeps;
  readonly #log: Logger;
  readonly #namespaces: Namespaces;
  readonly #spares: SpareNamespaces;
  readonly #late: LateConnections;
  readonly #records: Attachments;
  readonly #gateway: GatewayBridge;
  readonly #maker: RecordMaker;
  readonly #audits: AuditSchedule;
  readonly #attaching = new Map<string, Promise<Attachment>>();
  /** Those that are complete, and watched. */
  readonly #connected = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #applying = new Lock();
  #news = Promise.withResolvers<void>();
  #running = false;
  #node: OverlayNode | undefined;
  /** Of the routing mesh, where its network has none of its own. */
  #carriesIpv6 = false;

  constructor(options: ContainerNetworkOptions, deps: ContainerNetworkDeps) {
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'network' });
    this.#namespaces = new Namespaces(join(options.runRoot, 'netns'), setUpContainerNamespace);
    this.#spares = new SpareNamespaces(this.#namespaces, { clock: deps.clock, log: this.#log });
    this.#late = new LateConnections({ clock: deps.clock, log: this.#log });
    this.#records = new Attachments(join(options.runRoot, 'attachments'));
    this.#gateway = new GatewayBridge(options, deps.sockets);
    const own = { gateway: this.#gateway, records: this.#records };
    this.#maker = new RecordMaker({ ...deps, ...own });
    const quiet = new Quiet(deps);
    this.#audits = new AuditSchedule(() => quiet.around((is) => this.#audit(is)), {
      clock: deps.clock,
      log: this.#log,
    });
  }

  /** What the network `bridge` has. Only after the start. */
  get bridge(): { readonly subnet: string; readonly gateway: string } {
    const { subnet, gateway } = this.#gateway;
    return { subnet, gateway };
  }

  /**
   * Makes the bridge, or adopts the one that is there with all its containers. Must come before the
   * runtime's start: containerd sees only pins made after the folder became a shared mount.
   */
  async start(): Promise<void> {
    this.#namespaces.prepare();
    this.#deps.sockets.listen();
    this.#records.load((id) => this.#namespaces.isAlive(id));
    this.#gateway.start();
    this.#deps.ports.start({ bridge: gatewayBridgeName, subnet: this.#gateway.subnet });
    await this.#deps.taskPorts.adopt(this.#records.all());
    this.#deps.overlay.start();
    await this.#deps.local.start();
    this.#running = true;
    this.#audits.start();
    this.#log.info('bridge is up', { subnet: this.#gateway.subnet, adopted: this.#records.size });
    this.#spares.makeLater();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running = false;
    const audited = this.#audits.stop();
    this.#spares.stop();
    this.#news.resolve();
    await Promise.allSettled([...this.#attaching.values(), this.#applying.idle(), audited]);
    for (const part of [...this.#deps.parts, this.#deps.overlay]) await part[Symbol.asyncDispose]();
    this.#deps.sockets[Symbol.dispose]();
    this.#late[Symbol.dispose]();
    this.#namespaces[Symbol.dispose]();
    this.#gateway.close();
  }

  assign(networks: NetworkAssignments): Promise<void> {
    return this.#applying.run(() => this.#apply(networks));
  }

  attach(request: AttachRequest, { signal }: { signal?: AbortSignal } = {}): Promise<Attachment> {
    const present = this.#attaching.get(request.containerId);
    if (present !== undefined) return present;
    const attaching = this.#attach(request, signal).finally(() => {
      this.#attaching.delete(request.containerId);
      this.#spares.makeLater();
      this.#audits.afterChange();
    });
    this.#attaching.set(request.containerId, attaching);
    return attaching;
  }

  change(request: AttachRequest, { signal }: { signal?: AbortSignal } = {}): Promise<Attachment> {
    const { containerId } = request;
    const before = this.#attaching.get(containerId) ?? Promise.resolve();
    const changing = before
      .then(() => this.#change(request, signal))
      .finally(() => {
        if (this.#attaching.get(containerId) === changing) this.#attaching.delete(containerId);
        this.#audits.afterChange();
      });
    this.#attaching.set(containerId, changing);
    return changing;
  }

  async detach(containerId: string): Promise<void> {
    await this.#attaching.get(containerId)?.catch((error: unknown) => {
      this.#log.debug('detached what had failed to attach', { containerId, error });
    });
    this.#connected.delete(containerId);
    const record = this.#records.get(containerId);
    if ((record?.networks ?? []).length > 0) await this.#tellDetached(containerId);
    this.#removeNamespace(containerId);
    if (record === undefined) return;
    // The namespace's end takes its links along; its ports must not outlive it.
    await this.#deps.taskPorts.release(containerId);
    this.#records.delete(containerId);
  }

  async retain(containerIds: ReadonlySet<string>): Promise<void> {
    const known = new Set([...this.#records.ids(), ...this.#namespaces.names()]);
    for (const id of known) {
      if (containerIds.has(id)) continue;
      this.#log.info('removing a leftover attachment', { containerId: id });
      await this.detach(id);
    }
    for (const record of this.#records.all()) {
      await this.#adopt(record);
      this.#connected.add(record.containerId);
    }
    for (const part of [this.#deps.overlay, this.#deps.local]) await part.removeLeftovers();
    this.#audits.now();
  }

  /** A network of the swarm that each node makes for itself, there before anybody is on it. */
  async provide(networkId: string): ReturnType<LocalNetworks['provide']> {
    await this.#untilKnown([{ networkId }]);
    return this.#applying.run(() => this.#deps.local.provide(networkId));
  }

  /** Why networks of the swarm cannot be had on this node: a sentence for each. */
  obstacles(): readonly string[] {
    return [...this.tables.networks()].flatMap(({ id }) => this.#deps.overlay.obstacle(id) ?? []);
  }

  /** Networks of this node alone. */
  get local(): LocalNetworks {
    return this.#deps.local;
  }

  /** What this node was told of the swarm's networks. */
  get tables(): NetworkTables {
    return this.#deps.tables;
  }

  /** Those that are on networks of the swarm. */
  containers(): readonly AttachedContainer[] {
    return [...this.#records.all()].flatMap((record) => this.#container(record) ?? []);
  }

  /** Ports of this host that lead to containers, be they tasks' or people's. */
  get ports(): HostPorts {
    return this.#deps.ports;
  }

  /** This node as the managers know it; undefined while this host is in no swarm. */
  get node(): OverlayNode | undefined {
    return this.#node;
  }

  /** This host is a node of a swarm. Must come before the swarm's networks, also after a restart. */
  join(node: OverlayNode): void {
    this.#node = node;
    this.#carriesIpv6 = this.#deps.overlay.carriesMeshIpv6;
  }

  /** What other nodes need to know; undefined while this host is in no swarm. */
  dataPath(): DataPath | undefined {
    const wireguard = this.#deps.tunnels.published;
    return (
      this.#node && {
        address: this.#node.dataPathAddr,
        ...(wireguard === undefined ? {} : { wireguard }),
        ...(this.#carriesIpv6 ? { ipv6: true } : {}),
      }
    );
  }

  /** Called when `dataPath` says something new: other nodes are to hear of it soon. */
  onDataPath(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  dataPathChanged(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Takes everything of the swarm's networks away: the node leaves. No container is on one. */
  async leave(): Promise<void> {
    await this.assign({ complete: true, update: [], remove: [] });
    this.#node = undefined;
    await this.#deps.overlay.clear();
    this.#deps.overlay.start();
  }

  /** Takes everything away: bridge, rules, pins. For a host that leaves for good. */
  async clear(): Promise<void> {
    await this.retain(new Set());
    await this.#audits.settled();
    await this.#deps.overlay.clear();
    this.#deps.ports.clear();
    this.#gateway.clear();
    this.#spares.stop();
    this.#namespaces.clear();
  }

  /** Compares the kernel with what is wanted, puts right what differs, and says what it was. */
  audit(): Promise<readonly Repair[]> {
    return this.#audit(false);
  }

  async #audit(isQuiet: boolean): Promise<readonly Repair[]> {
    const repairs: Repair[] = [];
    if (!isQuiet) await this.#followCarrier();
    for (const id of this.#connected) {
      if (!this.#namespaces.repin(id)) continue;
      repairs.push({ kind: 'namespace', what: `the pin of container ${id}` });
    }
    repairs.push(...(await this.#gateway.audit(this.#plugs(), isQuiet)));
    for (const part of [this.#deps.overlay, ...this.#deps.parts]) {
      // What has come in meanwhile is not to wait for all of it.
      await nextTurn();
      repairs.push(...(await part.audit(isQuiet)));
    }
    noteRepairs(repairs, { counts: this.repairs, onRepaired: this.onRepaired, log: this.#log });
    return repairs;
  }

  /** The device that carries the data path may have become wider, or too narrow for IPv6. */
  async #followCarrier(): Promise<void> {
    const carriesIpv6 = this.#node !== undefined && this.#deps.overlay.carriesMeshIpv6;
    if (carriesIpv6 === this.#carriesIpv6) return;
    this.#carriesIpv6 = carriesIpv6;
    this.#log.info('what the data path can carry has changed', { ipv6: carriesIpv6 });
    this.dataPathChanged();
    await this.assign({ complete: false, update: [], remove: [] });
  }

  async #apply(networks: NetworkAssignments): Promise<void> {
    const { tables, overlay, parts } = this.#deps;
    const self = { id: this.#node?.id, carriesIpv6: this.#carriesIpv6 };
    const meshBefore = derivedMesh(tables);
    const said = withMeshIpv6(withinReach(networks, tables, self.id), tables, self);
    const delta = tables.apply(said);
    if (delta.changes.length === 0) return;
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
    // First the way to an endpoint, then what leads there, and in the end the names.
    await overlay.changed(delta);
    const moved = derivedMesh(tables) === meshBefore ? [] : this.containers();
    for (const container of moved) await this.#takeUp(container);
    for (const part of parts) await part.changed(delta);
    this.#audits.afterChange();
  }

  async #attach(request: AttachRequest, signal: AbortSignal | undefined): Promise<Attachment> {
    const known = this.#records.get(request.containerId);
    if (known !== undefined && this.#namespaces.isAlive(request.containerId)) {
      return this.#attachment(known);
    }
    await this.#untilReady(request.networks ?? [], signal);
    let record = this.#maker.first(request);
    // Taken from here on: the steps below give other attachments a turn.
    this.#records.put(record);
    try {
      record = await this.#deps.taskPorts.take(record);
      this.#records.put(record);
      await this.#connect(record);
      this.#records.save(record);
    } catch (error) {
      await this.#undo(record);
      throw error;
    }
    this.#connected.add(record.containerId);
    return this.#attachment(record);
  }

  async #connect(record: AttachmentRecord): Promise<void> {
    const netnsPath = this.#namespaces.create(record.containerId);
    const { overlay, parts } = this.#deps;
    const container = this.#container(record);
    if (container !== undefined) await overlay.attached(container);
    if (record.address !== undefined) this.#gateway.connect({ record, netnsPath });
    if (container !== undefined) {
      await Promise.all(parts.map((part) => part.attached(container)));
    }
    this.#deps.taskPorts.lead(record);
  }

  async #change(request: AttachRequest, signal: AbortSignal | undefined): Promise<Attachment> {
    const { containerId } = request;
    const before = this.#records.get(containerId);
    if (before === undefined) {
      throw new SwarmError('not-found', `container ${containerId} is on no network of this node`);
    }
    await this.#untilReady(request.networks ?? [], signal);
    const record = this.#maker.next(before, request);
    try {
      await this.#turn(before, record);
      this.#records.save(record);
    } catch (error) {
      await this.#turn(record, before);
      throw error;
    }
    return this.#attachment(record);
  }

  /** From one set of networks to another, while the container runs. */
  async #turn(before: AttachmentRecord, record: AttachmentRecord): Promise<void> {
    const { containerId } = record;
    const { overlay, parts } = this.#deps;
    this.#records.put(record);
    const kept = new Set(record.networks?.map(({ networkId }) => networkId));
    for (const { networkId } of before.networks ?? []) {
      if (kept.has(networkId)) continue;
      for (const part of [...parts, overlay]) await part.left?.(containerId, networkId);
    }
    const netnsPath = this.#namespaces.path(containerId);
    if (before.address !== undefined && record.address === undefined) {
      this.#gateway.disconnect({ record: before, netnsPath });
    }
    const container = this.#container(record);
    if (container === undefined && (before.networks ?? []).length > 0) {
      await this.#tellDetached(containerId);
    }
    if (container !== undefined) await overlay.attached(container);
    if (before.address === undefined && record.address !== undefined) {
      this.#gateway.connect({ record, netnsPath });
    }
    if (container !== undefined) await Promise.all(parts.map((part) => part.attached(container)));
    if (before.leavesByNetwork) this.#gateway.route({ record, netnsPath });
  }

  /** What has failed half-way must not be found by the next try. */
  async #undo(record: AttachmentRecord): Promise<void> {
    const { containerId } = record;
    try {
      await this.#deps.taskPorts.release(containerId);
      if ((record.networks ?? []).length > 0) await this.#tellDetached(containerId);
    } catch (error) {
      this.#log.warn('a part could not let go of a container', {
        containerId,
        error: messageOf(error),
      });
    }
    this.#records.delete(containerId);
    this.#removeNamespace(containerId);
  }

  #removeNamespace(containerId: string): void {
    const path = this.#namespaces.path(containerId);
    this.#deps.sockets.forget(path);
    if (this.#namespaces.isAlive(containerId)) this.#late.limit(containerId, path);
    this.#namespaces.remove(containerId);
  }

  async #adopt(record: AttachmentRecord): Promise<void> {
    const container = this.#container(record);
    if (container !== undefined) await this.#takeUp(container);
  }

  /** One that runs, with whatever has changed about its networks. */
  async #takeUp(container: AttachedContainer): Promise<void> {
    for (const part of [this.#deps.overlay, ...this.#deps.parts]) {
      try {
        await part.attached(container);
      } catch (error) {
        this.#log.error('a running container could not be taken up again', {
          containerId: container.id,
          error: messageOf(error),
        });
      }
    }
  }

  async #tellDetached(containerId: string): Promise<void> {
    for (const part of [...this.#deps.parts, this.#deps.overlay]) await part.detached(containerId);
  }

  /** Undefined for a container that is on no network of the swarm. */
  #container(record: AttachmentRecord): AttachedContainer | undefined {
    const { containerId, address, networks = [], nameservers, leavesByNetwork } = record;
    if (networks.length === 0) return undefined;
    const ipv4Only = record.ipv4Only === true;
    return {
      id: containerId,
      netnsPath: this.#namespaces.path(containerId),
      networks: networks.map((place) =>
        ownPlace(place, this.tables.network(place.networkId), ipv4Only),
      ),
      leavesByBridge: address !== undefined && leavesByNetwork !== true,
      ...(nameservers === undefined ? {} : { nameservers }),
    };
  }

  #attachment(record: AttachmentRecord): Attachment {
    return this.#maker.describe(record, this.#namespaces.path(record.containerId));
  }

  /** Throws for networks that cannot be had here; those that were joined before go on. */
  async #untilReady(networks: readonly TaskNetwork[], signal?: AbortSignal): Promise<void> {
    await this.#untilKnown(networks, signal);
    for (const { networkId } of networks) {
      await this.#deps.local.provide(networkId);
      const obstacle = this.#deps.overlay.obstacle(networkId);
      if (obstacle !== undefined) throw new SwarmError('failed-precondition', obstacle);
    }
  }

  #untilKnown(networks: readonly Pick<TaskNetwork, 'networkId'>[], signal?: AbortSignal) {
    const { tables, local, clock } = this.#deps;
    const isKnown = (id: string) => tables.network(id) !== undefined || local.has(id);
    const unknown = () => networks.find(({ networkId }) => !isKnown(networkId))?.networkId;
    const isRunning = () => this.#running;
    return untilKnown({ unknown, next: () => this.#news.promise, isRunning, clock }, signal);
  }

  *#plugs() {
    for (const containerId of this.#connected) {
      const record = this.#records.get(containerId);
      assert(record !== undefined, 'a connected container has a record');
      yield { record, netnsPath: this.#namespaces.path(containerId) };
    }
  }
}
