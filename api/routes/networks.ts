import { SwarmError } from '../../lib/errors.ts';
import {
  boolean,
  networkSpec,
  optional,
  required,
  string,
  struct,
  type Codec,
  type NetworkSpec,
} from '../../types/index.ts';
import { taskContainerHexId } from '../../worker/container/index.ts';
import type { JsonObject } from '../convert/json.ts';
import {
  builtInNetworkJson,
  endpointsJson,
  networkJson,
  networkUse,
  usersJson,
} from '../convert/network.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import {
  findNetwork,
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

const connectRequest = struct({ container: required('Container', string, '') });
const ipv4 = struct({ enableIpv4: optional('EnableIPv4', boolean) });

/** The spec; what its codec has no word for, and cannot be done, is refused. */
const createRequest: Codec<NetworkSpec> = {
  decode(value, path) {
    if (ipv4.decode(value, path).enableIpv4 === false) {
      throw new SwarmError(
        'unimplemented',
        'networks without IPv4 are not supported by this version; leave it on',
      );
    }
    return networkSpec.decode(value, path);
  },
  encode: (spec) => networkSpec.encode(spec),
};

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
    ...(['connect', 'disconnect'] as const).map((verb): Route => ({
      method: 'POST',
      path: `/networks/{id}/${verb}`,
      async handle(exchange) {
        const { container } = await exchange.body(connectRequest);
        await refuseToConnect(modules, container);
      },
    })),
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

function json(one: ListedNetwork): JsonObject {
  if (one.kind === 'built-in') return builtInNetworkJson(one.network, one.scope);
  if (one.kind === 'local') {
    return networkJson({ ...one.network, scope: 'local' }, { containers: usersJson(one.users) });
  }
  if (one.kind === 'swarm') {
    return networkJson({ ...one.network, ...one.network.meta, scope: 'swarm' });
  }
  const { name, driver, internal, ingress, options, ...network } = one.network;
  const spec = { name, driver, internal, ingress, options, labels: {} };
  const containers = endpointsJson(one.endpoints, taskContainerHexId);
  return networkJson({ ...network, spec, scope: 'swarm' }, { containers });
}

async function inspected(exchange: Exchange, modules: RouteModules): Promise<JsonObject> {
  const { backend } = modules;
  const one = await lookUp(exchange, modules);
  const view = one.kind === 'swarm' ? await swarmView(backend) : undefined;
  if (one.kind !== 'swarm' || view === undefined) return json(one);
  const { network } = one;
  const facts = {
    network,
    tasks: view.tasksOfNetwork(network.id),
    services: view.servicesOfNetwork(network.id),
    nodes: view.nodes(),
    nodeId: backend.swarm.status().nodeId,
    containerIdOf: taskContainerHexId,
  };
  return networkJson(
    { ...network, ...network.meta, scope: 'swarm' },
    networkUse(facts, exchange.flag('verbose')),
  );
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
  const spec = await exchange.body(createRequest);
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
  const isLocal = driver !== 'overlay' && !ofSwarm;
  const manager = isLocal ? undefined : backend.manager();
  const view = await swarmView(backend);
  if (listNetworks(backend, view).some(({ name }) => name === spec.name)) {
    throw new SwarmError('already-exists', `network with name ${spec.name} already exists`);
  }
  const complete = { ...spec, driver };
  const { id, warning } =
    manager === undefined
      ? await localNetworks(backend).create(complete)
      : await manager.control.createNetwork({ spec: complete });
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
      return localNetworks(backend).remove(one.id);
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
  for (const { id } of networks.filter(({ kind, inUse }) => kind === 'local' && !inUse)) {
    if (await removedLocal(id, modules)) removed.add(id);
  }
  const names = networks.filter(({ id }) => removed.has(id)).map(({ name }) => name);
  exchange.json({ NetworksDeleted: names.length === 0 ? null : names });
}

async function removedLocal(id: string, { backend }: RouteModules): Promise<boolean> {
  try {
    await localNetworks(backend).remove(id);
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

/** A task's networks are its service's, and those of other containers are chosen when they start. */
async function refuseToConnect({ backend }: RouteModules, name: string): Promise<never> {
  const { own } = await backend.containers.find(name);
  if (own === undefined) {
    throw new SwarmError(
      'failed-precondition',
      `container ${name} is a task's: change the networks of its service with ` +
        '"docker service update --network-add" or "--network-rm"',
    );
  }
  throw new SwarmError(
    'unimplemented',
    'containers cannot change their networks in this version: run them with --network',
  );
}
