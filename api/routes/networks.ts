import { SwarmError } from '../../lib/errors.ts';
import { connectDocument, disconnectDocument, networkSpec } from '../../types/index.ts';
import {
  connect,
  disconnect,
  isRunning,
  taskContainerHexId,
  wantedNetwork,
  type NamedNetwork,
  type Target,
} from '../../worker/container/index.ts';
import { joinedJson } from '../convert/container.ts';
import type { JsonObject } from '../convert/json.ts';
import { builtInNetworkJson, endpointsJson, networkJson, networkUse } from '../convert/network.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import {
  findNetwork,
  isPredefined,
  listNetworks,
  predefinedOfSwarm,
  swarmView,
  type ListedNetwork,
} from '../network-list.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';
import { parseUntil } from '../until.ts';

const filterKeys = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
const pruneKeys = ['label', 'label!', 'until'];
const localDrivers: ReadonlySet<string> = new Set(['bridge', 'macvlan', 'ipvlan']);
const onlyOnce: ReadonlySet<string> = new Set(['host', 'null']);

type Standalone = NonNullable<Target['own']>;

export function networkRoutes(modules: RouteModules): Route[] {
  const inspect = async (exchange: Exchange) => exchange.json(await inspected(exchange, modules));
  return [
    { method: 'GET', path: '/networks', handle: (exchange) => list(exchange, modules) },
    { method: 'POST', path: '/networks/create', handle: (exchange) => create(exchange, modules) },
    { method: 'POST', path: '/networks/prune', handle: (exchange) => prune(exchange, modules) },
    { method: 'GET', path: '/networks/{id}', handle: inspect },
    {
      method: 'DELETE',
      path: '/networks/{id}',
      async handle(exchange) {
        const found = await lookUp(exchange, modules);
        await remove(found, modules);
        exchange.empty(204);
      },
    },
    {
      method: 'POST',
      path: '/networks/{id}/connect',
      async handle(exchange) {
        const { container, endpointConfig } = await exchange.body(connectDocument);
        const own = await ownContainer(modules, container);
        const reference = exchange.param('id');
        const network = await named(reference, modules, isRunning(own.state));
        const wanted = wantedNetwork(network?.name ?? reference, endpointConfig ?? undefined);
        await connect(own, wanted, network);
        exchange.empty(200);
      },
    },
    {
      method: 'POST',
      path: '/networks/{id}/disconnect',
      async handle(exchange) {
        const { container, force } = await exchange.body(disconnectDocument);
        const reference = exchange.param('id');
        const own = force
          ? await ownOrEndpoint(modules, container, reference)
          : await ownContainer(modules, container);
        const network = await named(reference, modules, isRunning(own.state) && !force);
        await disconnect(own, reference, network);
        exchange.empty(200);
      },
    },
  ];
}

async function list(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
  const dangling = danglingOf(filters);
  for (const type of filters.get('type')) {
    if (type === 'custom' || type === 'builtin') continue;
    throw new SwarmError('invalid-argument', `invalid filter: 'type'='${type}'`);
  }
  const networks = listNetworks(backend, await swarmView(backend)).filter(
    (one) =>
      filters.any('name', (part) => one.name.includes(part)) &&
      filters.any('id', (beginning) => one.id.startsWith(beginning)) &&
      filters.any('driver', (driver) => one.driver === driver) &&
      filters.any('scope', (scope) => one.scope === scope) &&
      filters.any('type', (type) => (one.kind === 'built-in') === (type === 'builtin')) &&
      filters.labels('label', one.labels) &&
      (dangling === undefined || dangling === !one.inUse),
  );
  await exchange.jsonList(networks, (one) => json(one));
}

function danglingOf(filters: Filters): boolean | undefined {
  const values = filters.get('dangling');
  const isTrue = values.some((value) => ['1', 'true', 't'].includes(value.toLowerCase()));
  const isFalse = values.some((value) => ['0', 'false', 'f'].includes(value.toLowerCase()));
  if (values.length > 0 && isTrue === isFalse) {
    throw new SwarmError(
      'invalid-argument',
      `invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`,
    );
  }
  return values.length === 0 ? undefined : isTrue;
}

/** `joined`: standalone containers on it; Docker tells of them only where one network is shown. */
function json(one: ListedNetwork, joined: JsonObject = {}): JsonObject {
  if (one.kind === 'built-in') {
    return builtInNetworkJson(one.network, one.scope, one.subnets, joined);
  }
  if (one.kind === 'local') {
    return networkJson({ ...one.network, scope: 'local' }, { containers: joined });
  }
  if (one.kind === 'swarm') {
    return networkJson({ ...one.network, ...one.network.meta, scope: 'swarm' });
  }
  const { name, driver, internal, ingress, options, ...network } = one.network;
  const spec = { name, driver, internal, ingress, options, labels: {} };
  const containers = { ...endpointsJson(one.endpoints, taskContainerHexId), ...joined };
  return networkJson({ ...network, spec, scope: 'swarm' }, { containers });
}

async function inspected(exchange: Exchange, modules: RouteModules): Promise<JsonObject> {
  const { backend } = modules;
  const one = await lookUp(exchange, modules);
  const view = one.kind === 'swarm' ? await swarmView(backend) : undefined;
  const containers = joinedJson(one.id, await backend.containers.list());
  if (one.kind !== 'swarm' || view === undefined) return json(one, containers);
  const { network } = one;
  const facts = {
    network,
    tasks: view.tasksOfNetwork(network.id),
    services: view.servicesOfNetwork(network.id),
    nodes: view.nodes(),
    nodeId: backend.swarm.status().nodeId,
    containerIdOf: taskContainerHexId,
  };
  const use = networkUse(facts, exchange.flag('verbose'));
  const all = { ...use, containers: { ...use.containers, ...containers } };
  const isHere = use.containers !== undefined || Object.keys(containers).length > 0;
  return networkJson({ ...network, ...network.meta, scope: 'swarm' }, isHere ? all : use);
}

/** A manager without a quorum can still tell of what every node has. */
async function lookUp(exchange: Exchange, { backend }: RouteModules): Promise<ListedNetwork> {
  const input = exchange.param('id');
  const scope = exchange.query.get('scope') ?? '';
  const own = listNetworks(backend, undefined).find(
    ({ kind, id, name }) => kind !== 'assigned' && (id === input || name === input),
  );
  if (own !== undefined && scope !== 'swarm') return own;
  const all = listNetworks(backend, await swarmView(backend));
  if (scope === '') return findNetwork(all, input);
  const ofScope = all.filter((one) => one.scope === scope);
  return findNetwork(scope === 'swarm' ? [...ofScope, ...predefinedOfSwarm()] : ofScope, input);
}

async function create(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const spec = await exchange.body(networkSpec);
  const ofSwarm = spec.scope === 'swarm' || spec.ingress === true;
  const driver = spec.driver === '' ? (ofSwarm ? 'overlay' : 'bridge') : spec.driver;
  if (onlyOnce.has(driver)) {
    throw new SwarmError(
      'permission-denied',
      `only one instance of "${driver}" network is allowed`,
    );
  }
  if (driver !== 'overlay' && !localDrivers.has(driver)) {
    throw new SwarmError('not-found', `plugin "${driver}" not found`);
  }
  // Configurations are a node's own, also where somebody asks for another scope.
  const isLocal = spec.configOnly === true || (driver !== 'overlay' && !ofSwarm);
  const manager = isLocal ? undefined : backend.manager();
  const view = await swarmView(backend);
  // In a swarm they are among its networks, and the name is taken.
  if (view === undefined && isPredefined(spec.name)) {
    throw new SwarmError(
      'permission-denied',
      `operation is not permitted on predefined ${spec.name} network `,
    );
  }
  if (listNetworks(backend, view).some(({ name }) => name === spec.name)) {
    throw new SwarmError('already-exists', `network with name ${spec.name} already exists`);
  }
  const complete = { ...spec, driver: isLocal && spec.configOnly === true ? 'null' : driver };
  const { id, warning } =
    manager === undefined
      ? await localNetworks(backend).create(complete)
      : await manager.control.createNetwork({ spec: complete });
  if (isLocal) backend.containers.networkEvents.tell('create', { id, name: spec.name, driver });
  exchange.json({ Id: id, Warning: warning }, 201);
}

function localNetworks(backend: RouteModules['backend']) {
  if (backend.networks !== undefined) return backend.networks.local;
  throw new SwarmError(
    'unimplemented',
    'networks of one node are not supported by this version; use the driver overlay',
  );
}

async function remove(one: ListedNetwork, { backend }: RouteModules): Promise<void> {
  switch (one.kind) {
    case 'built-in':
      throw new SwarmError(
        'permission-denied',
        `${one.name} is a pre-defined network and cannot be removed`,
      );
    case 'local':
      await localNetworks(backend).remove(one.id);
      backend.containers.networkEvents.tell('destroy', one);
      return;
    case 'swarm':
    case 'assigned':
      return backend.manager().control.removeNetwork({ id: one.id });
  }
}

/** Docker tells the names of what is gone. */
async function prune(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { backend, clock } = modules;
  const filters = Filters.parse(exchange.query.get('filters'), pruneKeys);
  const untilMs = untilOf(filters, clock.nowMs());
  const networks = listNetworks(backend, await swarmView(backend)).filter(
    (one) =>
      filters.labels('label', one.labels) &&
      filters.get('label!').every((label) => !hasLabel(one, label)) &&
      createdAtMs(one) <= untilMs,
  );
  const ofSwarm = networks.filter(({ kind, inUse }) => kind === 'swarm' && !inUse);
  const removed = new Set<string>();
  if (ofSwarm.length > 0) {
    const ids = ofSwarm.map(({ id }) => id);
    const pruned = await backend.manager().control.pruneNetworks({ ids });
    for (const id of pruned.removed) removed.add(id);
  }
  for (const one of networks.filter(({ kind, inUse }) => kind === 'local' && !inUse)) {
    if (await removedLocal(one, modules)) removed.add(one.id);
  }
  backend.containers.networkEvents.tellPrune();
  const names = networks.filter(({ id }) => removed.has(id)).map(({ name }) => name);
  exchange.json({ NetworksDeleted: names.length === 0 ? null : names });
}

async function removedLocal(one: ListedNetwork, modules: RouteModules): Promise<boolean> {
  try {
    await remove(one, modules);
    return true;
  } catch (error) {
    // Containers are on it: pruning passes it over.
    if (error instanceof SwarmError && error.code === 'failed-precondition') return false;
    throw error;
  }
}

function untilOf(filters: Filters, nowMs: number): number {
  const [text, another] = filters.get('until');
  if (another !== undefined) {
    throw new SwarmError('invalid-argument', 'more than one until filter specified');
  }
  return text === undefined ? Infinity : parseUntil(text, nowMs);
}

function hasLabel({ labels }: ListedNetwork, wanted: string): boolean {
  return new Filters(new Map([['label', [wanted]]])).labels('label', labels);
}

function createdAtMs(one: ListedNetwork): number {
  if (one.kind === 'swarm') return one.network.meta.createdAtMs;
  return one.kind === 'local' ? one.network.createdAtMs : 0;
}

/** A task's networks are its service's. */
async function ownContainer({ backend }: RouteModules, name: string): Promise<Standalone> {
  if (name === '') throw new SwarmError('invalid-argument', 'invalid name or ID supplied: ""');
  const { own } = await backend.containers.find(name);
  if (own !== undefined) return own;
  throw new SwarmError(
    'failed-precondition',
    `container ${name} is a task's: change the networks of its service with ` +
      '"docker service update --network-add" or "--network-rm"',
  );
}

/** As `ownContainer`, in the words for what may be left on the network of a container. */
async function ownOrEndpoint(
  modules: RouteModules,
  container: string,
  network: string,
): Promise<Standalone> {
  try {
    return await ownContainer(modules, container);
  } catch (error) {
    if (!(error instanceof SwarmError && error.code === 'not-found')) throw error;
    const isKnown = (await named(network, modules, true)) !== undefined;
    const what = isKnown ? `endpoint ${container}` : `network ${network}`;
    throw new SwarmError('not-found', `${what} not found`, { cause: error });
  }
}

/** As this node knows it; one of the swarm's may be unknown here until a container is on it. */
async function named(
  reference: string,
  { backend }: RouteModules,
  isRequired: boolean,
): Promise<NamedNetwork | undefined> {
  try {
    const one = findNetwork(listNetworks(backend, await swarmView(backend)), reference);
    const { id, name, driver } = one;
    const spec = 'spec' in one.network ? one.network.spec : undefined;
    // What a configuration says is known where the network is made, which then looks for itself.
    const isOpen = spec === undefined || (spec.configFrom?.network ?? '') !== '';
    const subnets = (spec?.ipam?.configs ?? []).map(({ subnet = '' }) => subnet);
    const hasOwnSubnet = (family: 'IPv4' | 'IPv6') =>
      isOpen || subnets.some((text) => text !== '' && text.includes(':') === (family === 'IPv6'));
    return { id, name, driver, hasOwnSubnet };
  } catch (error) {
    const isUnknown = error instanceof SwarmError && error.code === 'not-found';
    const mayBeSwarms = backend.swarm.status().state === 'active';
    if (isUnknown && (mayBeSwarms || !isRequired)) return undefined;
    throw error;
  }
}
