/**
 * A backup's specs put into a swarm that runs: what the swarm is asked to do becomes what it was
 * asked to do then. Nodes, certificates, tokens and tasks stay as they are.
 */
import { isDeepStrictEqual } from 'node:util';
import { SwarmError } from '../../lib/errors.ts';
import {
  fileKinds,
  type FileKind,
  type FileObject,
  type Network,
  type NodeSpec,
  type Service,
  type SwarmSpec,
} from '../../types/index.ts';
import type { Random } from '../../lib/random.ts';
import { firstStatuses, nextStatuses } from './job-status.ts';
import { allocateNetwork } from '../allocator/index.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';

/** What one transaction restores. Plain JSON, so that a follower can pass it on. */
export interface RestoreBatch {
  /** Networks that the swarm lacks, as the backup has them. */
  readonly networks?: readonly Network[];
  /** Secrets and configs that the swarm lacks, as the backup has them, the oldest first. */
  readonly files?: readonly { readonly kind: FileKind; readonly file: FileObject }[];
  /** Services as the backup has them, on the networks of those names. */
  readonly services: readonly Service[];
  /** Ids of services to be removed. */
  readonly removedServices: readonly string[];
  readonly nodes: readonly { readonly id: string; readonly spec: NodeSpec }[];
  readonly clusterSpec?: SwarmSpec;
}

/** How many objects the batches create, change or remove. */
export interface RestoreCounts {
  readonly created: number;
  readonly updated: number;
  readonly removed: number;
}

/** Small enough for one log entry, whatever the log stands on. */
const batchBytes = 512 << 10;
const batchObjects = 100;

/**
 * The way from the present state to the backup's, removals first: they free names and ports.
 * Throws `failed-precondition` for what cannot be done, before anything is.
 */
export function planBatches(present: StoreView, backup: StoreView): RestoreBatch[] {
  const services = [...backup.services()].map((service) => onPresent(present, backup, service));
  const networks = [...backup.networks()].filter((network) => isMissing(present, network));
  for (const service of services) refuseOtherMode(present.service(service.id), service);
  const removed = [...present.services()].filter(({ id }) => backup.service(id) === undefined);
  const nodes = [...backup.nodes()].filter(({ id }) => present.node(id) !== undefined);
  const spec = backup.cluster()?.spec;
  const first: RestoreBatch = {
    services: [],
    removedServices: [],
    nodes: [],
    ...(spec === undefined ? {} : { clusterSpec: spec }),
  };
  return [
    first,
    ...inPieces(removed.map(({ id }) => id)).map((removedServices) => ({
      services: [],
      nodes: [],
      removedServices,
    })),
    ...inPieces(networks).map((piece) => ({
      networks: piece,
      services: [],
      removedServices: [],
      nodes: [],
    })),
    ...inPieces(missingFiles(present, backup)).map((piece) => ({
      files: piece,
      services: [],
      removedServices: [],
      nodes: [],
    })),
    ...inPieces(services).map((piece) => ({ services: piece, removedServices: [], nodes: [] })),
    ...inPieces(nodes.map(({ id, spec: nodeSpec }) => ({ id, spec: nodeSpec }))).map((piece) => ({
      services: [],
      removedServices: [],
      nodes: piece,
    })),
  ];
}

/** Networks that came after the backup stay: they disturb nobody. */
function isMissing(present: StoreView, { id, spec }: Network): boolean {
  if (spec.ingress === true && present.ingressNetwork() !== undefined) return false;
  return present.network(id) === undefined && present.networkByName(spec.name) === undefined;
}

/** Services name them by their ids: another of the same name would be no substitute. */
function missingFiles(present: StoreView, backup: StoreView) {
  return fileKinds.flatMap((kind) =>
    [...backup.files(kind)]
      .filter(({ id }) => present.file(kind, id) === undefined)
      .sort((a, b) => a.revision - b.revision)
      .map((file) => ({ kind, file })),
  );
}

/** The service on the networks that have the names of those that it was on. */
function onPresent(present: StoreView, backup: StoreView, service: Service): Service {
  const { networks } = service.spec.task;
  if (networks === undefined) return service;
  const moved = networks.map((attachment) => {
    const name = backup.network(attachment.target)?.spec.name;
    const found = name === undefined ? undefined : present.networkByName(name);
    return found === undefined ? attachment : { ...attachment, target: found.id };
  });
  const task = { ...service.spec.task, networks: moved };
  return { ...service, spec: { ...service.spec, task } };
}

/** What the batch still has to change. */
export function planRestore(
  view: StoreView,
  batch: RestoreBatch,
  { random, nowMs }: { readonly random: Random; readonly nowMs: number },
): Change[] {
  return [
    ...batch.removedServices.flatMap((id): Change[] => {
      const service = view.service(id);
      if (service === undefined) return [];
      return [{ op: 'delete', table: 'service', id, base: service.meta.version }];
    }),
    ...planNetworks(view, batch.networks ?? [], random),
    ...planFiles(view, batch.files ?? []),
    ...batch.services.flatMap((service) => planService(view, service, nowMs)),
    ...batch.nodes.flatMap(({ id, spec }) => planNode(view, id, spec)),
    ...(batch.clusterSpec === undefined ? [] : planCluster(view, batch.clusterSpec)),
  ];
}

export function countChanges(changes: readonly Change[]): RestoreCounts {
  const puts = changes.filter((change) => change.op === 'put');
  return {
    created: puts.filter(({ base }) => base === 0).length,
    updated: puts.filter(({ base }) => base !== 0).length,
    removed: changes.length - puts.length,
  };
}

function planNetworks(view: StoreView, networks: readonly Network[], random: Random): Change[] {
  const cluster = view.cluster();
  if (cluster === undefined) return [];
  const known = [...view.networks()];
  const hosts = [...view.nodes()].map(({ status }) => status.addr);
  return networks
    .filter((network) => isMissing(view, network))
    .map(({ id, spec, ...preferred }): Change => {
      const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };
      const around = { cluster, networks: known, hosts, random, preferred };
      const given = allocateNetwork(spec, around);
      const object: Network = { id, meta, spec, ...given };
      known.push(object);
      return { op: 'put', table: 'network', object, base: 0 };
    });
}

/** What the backup has becomes the newest of its name; what came after it stays as an older one. */
function planFiles(view: StoreView, files: NonNullable<RestoreBatch['files']>): Change[] {
  const newest = new Map<string, number>();
  return files.flatMap(({ kind, file }): Change[] => {
    if (view.file(kind, file.id) !== undefined) return [];
    const key = `${kind}/${file.spec.name}`;
    const known = newest.get(key) ?? view.revisions(kind, file.spec.name).at(-1)?.revision ?? 0;
    const revision = Math.max(file.revision, known + 1);
    newest.set(key, revision);
    const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };
    return [{ op: 'put', table: kind, object: { ...file, meta, revision }, base: 0 }];
  });
}

function planService(
  view: StoreView,
  { id, spec, registryAuth }: Service,
  nowMs: number,
): Change[] {
  const present = view.service(id);
  const auth = registryAuth === undefined ? {} : { registryAuth };
  if (present === undefined) {
    // Tasks of the service may still be there: no spec of theirs has had this number.
    const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };
    const statuses = firstStatuses(spec, nowMs);
    const object: Service = { id, meta, spec, specVersion: view.index, ...statuses, ...auth };
    return [{ op: 'put', table: 'service', object, base: 0 }];
  }
  refuseOtherMode(present, { id, spec });
  if (isDeepStrictEqual(present.spec, spec)) return [];
  const { ports, virtualIps } = present;
  const object: Service = {
    id,
    meta: present.meta,
    ...(ports === undefined ? {} : { ports }),
    ...(virtualIps === undefined ? {} : { virtualIps }),
    spec,
    specVersion: present.meta.version,
    previousSpec: present.spec,
    previousSpecVersion: present.specVersion,
    ...nextStatuses(present, spec, nowMs),
    ...auth,
    ...(present.registryAuth === undefined ? {} : { previousRegistryAuth: present.registryAuth }),
  };
  return [{ op: 'put', table: 'service', object, base: present.meta.version }];
}

/** Who is a manager is another command's affair. */
function planNode(view: StoreView, id: string, spec: NodeSpec): Change[] {
  const present = view.node(id);
  if (present === undefined) return [];
  const restored = { ...spec, role: present.spec.role };
  if (isDeepStrictEqual(present.spec, restored)) return [];
  const object = { ...present, spec: restored };
  return [{ op: 'put', table: 'node', object, base: present.meta.version }];
}

/** Keys and locks are the running swarm's own. */
function planCluster(view: StoreView, spec: SwarmSpec): Change[] {
  const present = view.cluster();
  if (present === undefined) return [];
  const { ca, encryption } = present.spec;
  const restored = { ...spec, ca, encryption };
  if (isDeepStrictEqual(present.spec, restored)) return [];
  const object = { ...present, spec: restored };
  return [{ op: 'put', table: 'cluster', object, base: present.meta.version }];
}

function refuseOtherMode(
  present: Service | undefined,
  service: Pick<Service, 'id' | 'spec'>,
): void {
  const then = Object.keys(service.spec.mode)[0];
  if (present === undefined || Object.keys(present.spec.mode)[0] === then) return;
  throw new SwarmError(
    'failed-precondition',
    `service ${present.spec.name} is of another mode now than in the backup (${then}): remove it, ` +
      'and restore again',
  );
}

function inPieces<T>(items: readonly T[]): T[][] {
  const pieces: T[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = JSON.stringify(item).length;
    const last = pieces.at(-1);
    if (last === undefined || last.length >= batchObjects || bytes + size > batchBytes) {
      pieces.push([item]);
      bytes = size;
    } else {
      last.push(item);
      bytes += size;
    }
  }
  return pieces;
}
