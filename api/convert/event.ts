/** What `docker events` shows of changes in the cluster and of this node's images. */
import {
  scaledText,
  type FileObject,
  type ImageEvent,
  type Node,
  type Service,
} from '../../types/index.ts';
import type { ContainerEvent, NetworkEvent } from '../../worker/container/events.ts';
import type { VolumeEvent } from '../../worker/volume/volume-events.ts';
import type { ObjectEvent } from '../backend.ts';
import type { JsonObject } from './json.ts';

export interface DockerEvent {
  readonly type:
    | 'builder'
    | 'container'
    | 'service'
    | 'node'
    | 'network'
    | 'secret'
    | 'config'
    | 'image'
    | 'volume';
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly scope: 'swarm' | 'local';
  readonly timeMs: number;
}

export function eventJson(event: DockerEvent): JsonObject {
  return {
    // Deprecated by Docker, but what older clients read: of containers and images alone.
    ...(isLegacy(event) ? { status: event.action, ...idJson(event), ...fromJson(event) } : {}),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: event.scope,
    time: Math.floor(event.timeMs / 1000),
    timeNano: event.timeMs * 1e6,
  };
}

/** A prune is of none. */
function idJson({ id }: DockerEvent): JsonObject {
  return id === '' ? {} : { id };
}

/** What a container was made of. */
function fromJson({ type, attributes: { image } }: DockerEvent): JsonObject {
  return type === 'container' && image !== undefined ? { from: image } : {};
}

function isLegacy({ type }: DockerEvent): boolean {
  return type === 'container' || type === 'image';
}

/** Docker tells of most objects; tasks and the cluster itself change in silence. */
export function objectEvent(event: ObjectEvent): DockerEvent | undefined {
  if (event.table === 'service') {
    return swarmEvent(event, 'service', serviceAttributes(event.object, event.old));
  }
  if (event.table === 'node') {
    if (event.action === 'update' && isSilent(event.object, event.old)) return undefined;
    const attributes = nodeAttributes(event.object, event.old);
    return swarmEvent(event, 'node', attributes);
  }
  if (event.table === 'network') {
    return swarmEvent(event, 'network', { name: event.object.spec.name });
  }
  if (event.table === 'volume') {
    // Where it is published is nothing that a person has done.
    if (event.old?.spec === event.object.spec && event.action === 'update') return undefined;
    return swarmEvent(event, 'volume', { name: event.object.spec.name });
  }
  if (event.table === 'secret' || event.table === 'config') {
    return fileEvent(event, event.object);
  }
  return undefined;
}

/**
 * Another content behind a name is told as an update of what the name stands for. The revision
 * tells a name's contents apart, of which the older ones are removed in time.
 */
function fileEvent(event: ObjectEvent, { spec, revision }: FileObject): DockerEvent {
  const attributes = { name: spec.name, ...(revision > 1 ? { revision: String(revision) } : {}) };
  const type = event.table === 'secret' ? 'secret' : 'config';
  const told = swarmEvent(event, type, attributes);
  return event.action === 'create' && revision > 1 ? { ...told, action: 'update' } : told;
}

export function containerEvent(event: ContainerEvent): DockerEvent {
  return { ...event, type: 'container', scope: 'local' };
}

export function volumeEvent(event: VolumeEvent): DockerEvent {
  return { ...event, type: 'volume', scope: 'local' };
}

/** Of a network of this node, or a container of this node on any. */
export function networkEvent(event: NetworkEvent): DockerEvent {
  return { ...event, type: 'network', scope: 'local' };
}

export function imageEvent(event: ImageEvent): DockerEvent {
  return {
    type: 'image',
    action: event.action,
    id: event.id,
    attributes:
      event.reclaimedBytes === undefined
        ? { ...event.labels, name: event.name }
        : { reclaimed: String(event.reclaimedBytes) },
    scope: 'local',
    timeMs: event.timeMs,
  };
}

export function builderPruned(reclaimedBytes: number, timeMs: number): DockerEvent {
  const attributes = { reclaimed: String(reclaimedBytes) };
  return { type: 'builder', action: 'prune', id: '', attributes, scope: 'local', timeMs };
}

function swarmEvent(
  event: ObjectEvent,
  type: 'service' | 'node' | 'network' | 'secret' | 'config' | 'volume',
  attributes: Readonly<Record<string, string>>,
): DockerEvent {
  const { action, object, atMs } = event;
  return { type, action, id: object.id, attributes, scope: 'swarm', timeMs: atMs };
}

function serviceAttributes(service: Service, old: Service | undefined): Record<string, string> {
  const name = { name: service.spec.name };
  if (old === undefined) return name;
  const state = service.updateStatus?.state;
  const oldState = old.updateStatus?.state;
  return {
    ...name,
    ...change('image', old.spec.task.container?.image, service.spec.task.container?.image),
    ...change(
      'replicas',
      old.spec.mode.replicated?.replicas?.toString(),
      service.spec.mode.replicated?.replicas?.toString(),
    ),
    ...(state === undefined ? {} : change('updatestate', oldState, state)),
    ...autoscaleAttributes(service, old),
  };
}

/** Ours: why the number of replicas is another, or what keeps it from being one. */
function autoscaleAttributes({ autoscale }: Service, old: Service): Record<string, string> {
  if (autoscale === undefined) return {};
  const { scaled, state, message } = autoscale;
  const isScaled = scaled !== undefined && scaled.atMs !== old.autoscale?.scaled?.atMs;
  const isTold = message !== '' && message !== old.autoscale?.message;
  return {
    ...(isScaled ? { autoscaled: scaledText(scaled) } : {}),
    ...(isTold ? { [`autoscale.${state}`]: message } : {}),
  };
}

/** What managers keep of a node for themselves is nothing that its document shows. */
function isSilent(node: Node, old: Node | undefined): boolean {
  const shown = ({ spec, role, description, status, manager }: Node) =>
    JSON.stringify([spec, role, description, { ...status, atMs: 0 }, manager]);
  return old !== undefined && shown(node) === shown(old);
}

function nodeAttributes(node: Node, old: Node | undefined): Record<string, string> {
  const ownName = node.spec.name ?? '';
  const name = { name: ownName === '' ? (node.description?.hostname ?? '') : ownName };
  if (old === undefined) return name;
  return {
    ...name,
    ...change('availability', old.spec.availability, node.spec.availability),
    ...change('role', old.role, node.role),
    ...change('state', old.status.state, node.status.state),
    ...(old.manager === undefined || node.manager === undefined
      ? {}
      : change('leader', String(old.manager.leader), String(node.manager.leader))),
  };
}

function change(key: string, old: string | undefined, now: string | undefined) {
  if (old === now) return {};
  return {
    ...(old === undefined ? {} : { [`${key}.old`]: old }),
    ...(now === undefined ? {} : { [`${key}.new`]: now }),
  };
}
