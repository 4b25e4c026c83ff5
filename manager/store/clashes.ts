/**
 * Why an entry cannot be applied although each of its changes is planned on the present version:
 * two planners believed in one name, port, number or address at a time, or one of them in an object
 * that the other removes. Replicated code, as apply.ts is.
 */
import {
  fileKinds,
  fileReferencesOf,
  isActive,
  type ClusterVolume,
  type FileKind,
  type FileObject,
  type Network,
  type Service,
  type Task,
} from '../../types/index.ts';
import type { Change } from './change.ts';
import type { State } from './state.ts';
import { attachmentsOf, holdsAddresses, publishesIngress, withoutPrefix } from './view.ts';

type Forms<T> = Map<string, T[]>;

/**
 * What the entry puts in the place of objects whose keys, references and addresses have to be
 * looked at: one form each, or several if it changes an object again; none of what it only deletes.
 */
interface Touched {
  readonly services: Forms<Service>;
  readonly networks: Forms<Network>;
  readonly removedNetworks: Set<string>;
  /** Tasks that hold addresses. */
  readonly tasks: Forms<Task>;
  /** The ingress addresses of nodes. */
  readonly nodes: Forms<readonly string[]>;
  readonly files: { readonly [K in FileKind]: Forms<FileObject> };
  readonly volumes: Forms<ClusterVolume>;
}

/** A sentence that says what clashes. */
export function clashOf(state: State, changes: readonly Change[]): string | undefined {
  const touched = touchedBy(changes);
  const { services, networks, tasks, nodes, files, volumes } = touched;
  const touchedFiles = files.secret.size + files.config.size;
  const others = touchedFiles + volumes.size;
  const size = services.size + networks.size + tasks.size + nodes.size + others;
  if (size === 0) return undefined;
  return (
    state.names.clash(services) ??
    state.ingressPorts.clash(services) ??
    state.networkNames.clash(networks) ??
    state.vnis.clash(networks) ??
    clashOfMesh(state, touched) ??
    missingNetwork(state, touched) ??
    networkInUse(state, touched) ??
    state.secretRevisions.clash(files.secret) ??
    state.configRevisions.clash(files.config) ??
    state.volumeNames.clash(volumes) ??
    missingFile(state, touched) ??
    fileInUse(state, touched) ??
    clashOfAddresses(state, touched)
  );
}

function touchedBy(changes: readonly Change[]): Touched {
  const touched: Touched = {
    services: new Map(),
    networks: new Map(),
    removedNetworks: new Set(),
    tasks: new Map(),
    nodes: new Map(),
    files: { secret: new Map(), config: new Map() },
    volumes: new Map(),
  };
  for (const change of changes) {
    if (change.op === 'node-addresses') note(touched.nodes, change.id, change.ingressAddresses);
    if (change.op === 'delete') {
      if (change.table === 'service') note(touched.services, change.id);
      if (change.table === 'network') {
        note(touched.networks, change.id);
        touched.removedNetworks.add(change.id);
      }
      if (change.table === 'volume') note(touched.volumes, change.id);
      if (isFile(change.table)) note(touched.files[change.table], change.id);
    }
    if (change.op !== 'put') continue;
    if (change.table === 'volume') note(touched.volumes, change.object.id, change.object);
    if (change.table === 'service') note(touched.services, change.object.id, change.object);
    if (change.table === 'network') note(touched.networks, change.object.id, change.object);
    if (change.table === 'secret' || change.table === 'config') {
      note(touched.files[change.table], change.object.id, change.object);
    }
    if (change.table === 'task' && holdsAddresses(change.object)) {
      note(touched.tasks, change.object.id, change.object);
    }
    if (change.table === 'node' && change.object.ingressAddresses !== undefined) {
      note(touched.nodes, change.object.id, change.object.ingressAddresses);
    }
  }
  return touched;
}

function note<T>(forms: Forms<T>, id: string, form?: T): void {
  let known = forms.get(id);
  if (known === undefined) forms.set(id, (known = []));
  if (form !== undefined) known.push(form);
}

function all<T>(forms: Forms<T>): T[] {
  return [...forms.values()].flat();
}

function clashOfMesh(state: State, { networks }: Touched): string | undefined {
  const present = state.ingressNetwork();
  let holder = present === undefined || networks.has(present.id) ? undefined : present.id;
  for (const { id, spec } of all(networks)) {
    if (spec.ingress !== true) continue;
    if (holder !== undefined && holder !== id) {
      return `network ${holder} is the routing mesh's already`;
    }
    holder = id;
  }
  return undefined;
}

/**
 * Networks are looked at when a service or a task takes them up. What a service goes back to in a
 * rollback may be gone; then its tasks say so.
 */
function missingNetwork(
  state: State,
  { services, networks, removedNetworks, tasks }: Touched,
): string | undefined {
  const exists = (id: string) =>
    !removedNetworks.has(id) && (networks.has(id) || state.network(id) !== undefined);
  for (const service of all(services)) {
    const old = state.service(service.id);
    const known = [old?.spec.task, old?.previousSpec?.task].flatMap((spec) =>
      spec === undefined ? [] : attachmentsOf(spec).map(({ target }) => target),
    );
    const gone = attachmentsOf(service.spec.task).find(
      ({ target }) => !known.includes(target) && !exists(target),
    );
    if (gone !== undefined) {
      return `network ${gone.target}, which service ${service.id} is to be on, does not exist`;
    }
  }
  for (const task of all(tasks)) {
    const old = state.task(task.id)?.networks;
    for (const { networkId } of task.networks ?? []) {
      if (exists(networkId) || old?.some((known) => known.networkId === networkId)) continue;
      return `network ${networkId}, which task ${task.id} is to be on, does not exist`;
    }
  }
  return undefined;
}

/** A network stays while a service names it, or a task of a present service is to run on it. */
function networkInUse(state: State, { services, removedNetworks }: Touched): string | undefined {
  for (const id of removedNetworks) {
    const isMesh = state.ingressNetwork()?.id === id;
    const uses = ({ spec }: Service) =>
      (isMesh && publishesIngress(spec)) ||
      attachmentsOf(spec.task).some(({ target }) => target === id);
    const users = [
      ...[...state.servicesOfNetwork(id)].filter((service) => !services.has(service.id)),
      ...all(services).filter(uses),
    ];
    if (users[0] !== undefined) return `network ${id} is in use by service ${users[0].id}`;
    for (const task of state.tasksOfNetwork(id)) {
      if (isInUse(state, task)) return `network ${id} is in use by task ${task.id}`;
    }
  }
  return undefined;
}

/** Tasks that are told to stop, or soon will be as their service is gone, keep no network. */
function isInUse(state: State, task: Task): boolean {
  if (!isActive(task)) return false;
  return task.serviceId === '' || state.service(task.serviceId) !== undefined;
}

function isFile(table: string): table is FileKind {
  return table === 'secret' || table === 'config';
}

/**
 * Secrets and configs are looked at when a service takes them up. What it goes back to in a
 * rollback may be gone; then its tasks say so.
 */
function missingFile(state: State, { services, files }: Touched): string | undefined {
  for (const service of all(services)) {
    const old = state.service(service.id);
    const known = new Set(
      [old?.spec.task, old?.previousSpec?.task].flatMap((spec) =>
        spec === undefined ? [] : fileReferencesOf(spec).map(({ id }) => id),
      ),
    );
    for (const { kind, id } of fileReferencesOf(service.spec.task)) {
      if (known.has(id)) continue;
      const forms = files[kind].get(id);
      const exists = forms === undefined ? state.file(kind, id) !== undefined : forms.length > 0;
      if (!exists) return `${kind} ${id}, which service ${service.id} is to have, does not exist`;
    }
  }
  return undefined;
}

/** A secret or a config stays while a service names it. */
function fileInUse(state: State, { services, files }: Touched): string | undefined {
  for (const kind of fileKinds) {
    for (const [id, forms] of files[kind]) {
      if (forms.length > 0) continue;
      const uses = ({ spec }: Service) => fileReferencesOf(spec.task).some((one) => one.id === id);
      const users = [
        ...[...state.servicesOfFile(id)].filter((service) => !services.has(service.id)),
        ...all(services).filter(uses),
      ];
      if (users[0] !== undefined) return `${kind} ${id} is in use by service ${users[0].id}`;
    }
  }
  return undefined;
}

/** An address is free only once nobody holds it any more, not when this very entry frees it. */
function clashOfAddresses(
  state: State,
  { services, networks, tasks, nodes }: Touched,
): string | undefined {
  const claims = new Map<string, string>();
  const claim = (networkId: string, prefixed: string, id: string): string | undefined => {
    const address = withoutPrefix(prefixed);
    const key = `${networkId}/${address}`;
    const holder = claims.get(key) ?? state.usedAddresses(networkId).get(address) ?? id;
    claims.set(key, id);
    return holder === id ? undefined : `address ${address} of network ${networkId} is ${holder}'s`;
  };
  for (const { id, networks: held = [] } of all(tasks)) {
    for (const { networkId, addresses } of held) {
      for (const address of addresses) {
        const clash = claim(networkId, address, id);
        if (clash !== undefined) return clash;
      }
    }
  }
  for (const { id, virtualIps = [] } of all(services)) {
    for (const { networkId, address } of virtualIps) {
      const clash = claim(networkId, address, id);
      if (clash !== undefined) return clash;
    }
  }
  const created = all(networks).find(({ spec }) => spec.ingress === true);
  const ingressId = created?.id ?? state.ingressNetwork()?.id ?? '';
  for (const [id, forms] of ingressId === '' ? [] : nodes) {
    for (const address of forms.flat()) {
      const clash = claim(ingressId, address, id);
      if (clash !== undefined) return clash;
    }
  }
  return undefined;
}
