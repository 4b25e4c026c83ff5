import { SwarmError } from '../../lib/errors.ts';
import { cronOf, serviceSpec, type Service } from '../../types/index.ts';
import { withServiceDefaults } from '../convert/defaults.ts';
import { serviceJson, serviceStatus } from '../convert/service.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { findService } from '../lookup.ts';
import { parseRegistryAuth } from '../registry-auth.ts';
import type { Route } from '../router.ts';
import { sendLogs } from './logs.ts';
import type { RouteModules } from './modules.ts';
import { byId } from './order.ts';

const filterKeys = ['name', 'id', 'label', 'mode', 'runtime'];
/** The first version whose clients ask for the status of services. */
const statusSinceMinor = 41;

export function serviceRoutes(modules: RouteModules): Route[] {
  const { backend } = modules;
  return [
    { method: 'GET', path: '/services', handle: (exchange) => list(exchange, modules) },
    {
      method: 'POST',
      path: '/services/create',
      async handle(exchange) {
        const manager = backend.manager();
        const spec = await exchange.body(serviceSpec);
        const created = await manager.control.createService({
          spec,
          ...registryAuth(exchange),
          ...exchange.asked,
        });
        exchange.json({ ID: created.id, Warnings: warnings(created.warnings) }, 201);
      },
    },
    {
      method: 'GET',
      path: '/services/{id}',
      async handle(exchange) {
        const service = findService(await backend.manager().read(), exchange.param('id'));
        exchange.json(
          serviceJson(
            exchange.flag('insertDefaults')
              ? { ...service, spec: withServiceDefaults(service.spec) }
              : service,
          ),
        );
      },
    },
    {
      method: 'POST',
      path: '/services/{id}/update',
      handle: (exchange) => update(exchange, modules),
    },
    {
      method: 'POST',
      path: '/services/{id}/rebalance',
      async handle(exchange) {
        const manager = backend.manager();
        const service = findService(await manager.read(), exchange.param('id'));
        await manager.control.rebalanceService({ id: service.id });
        exchange.empty();
      },
    },
    {
      method: 'DELETE',
      path: '/services/{id}',
      async handle(exchange) {
        const manager = backend.manager();
        const service = findService(await manager.read(), exchange.param('id'));
        await manager.control.removeService({ id: service.id, ...exchange.asked });
        exchange.empty();
      },
    },
    {
      method: 'GET',
      path: '/services/{id}/logs',
      async handle(exchange) {
        const manager = backend.manager();
        const service = findService(await manager.read(), exchange.param('id'));
        await sendLogs(exchange, manager, { service });
      },
    },
  ];
}

async function list(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
  const view = await backend.manager().read();
  const withStatus = exchange.minor >= statusSinceMinor && exchange.flag('status');
  const services = byId([...view.services()].filter((service) => matches(service, filters)));
  await exchange.jsonList(services, (service) =>
    serviceJson(
      service,
      withStatus ? serviceStatus(service, view.tasksOfService(service.id)) : undefined,
    ),
  );
}

async function update(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const manager = backend.manager();
  const spec = await exchange.body(serviceSpec);
  const version = exchange.objectVersion('service');
  const from = oneOfParameter(exchange, 'registryAuthFrom', ['spec', 'previous-spec'] as const);
  const rollback = oneOfParameter(exchange, 'rollback', ['none', 'previous'] as const);
  const service = findService(await manager.read(), exchange.param('id'));
  const updated = await manager.control.updateService({
    id: service.id,
    version,
    spec,
    ...registryAuth(exchange),
    ...(from === undefined ? {} : { registryAuthFrom: from }),
    rollback: rollback === 'previous',
    ...exchange.asked,
  });
  exchange.json({ Warnings: warnings(updated.warnings) });
}

/** As it came: nodes read it when they pull. What says nothing is not kept. */
function registryAuth(exchange: Exchange): { registryAuth?: string } {
  const header = exchange.request.headers['x-registry-auth'];
  if (typeof header !== 'string' || parseRegistryAuth(header) === undefined) return {};
  return { registryAuth: header };
}

function oneOfParameter<const W extends string>(
  exchange: Exchange,
  name: string,
  words: readonly W[],
): W | undefined {
  const text = exchange.query.get(name) ?? '';
  if (text === '') return undefined;
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new SwarmError('invalid-argument', `invalid ${name} '${text}'`);
  return word;
}

/** Go writes a list that was never made as null. */
function warnings(given: readonly string[]): readonly string[] | null {
  return given.length === 0 ? null : given;
}

function matches(service: Service, filters: Filters): boolean {
  const { name, labels, mode, task } = service.spec;
  const isCron = cronOf(service.spec) !== undefined;
  return (
    filters.any('name', (prefix) => name.startsWith(prefix)) &&
    filters.any('id', (prefix) => service.id.startsWith(prefix)) &&
    filters.labels('label', labels) &&
    filters.any('mode', (word) => modeName(mode) === word || (isCron && word === 'cron')) &&
    filters.any('runtime', (word) => (task.runtime ?? 'container') === word)
  );
}

function modeName(mode: Service['spec']['mode']): string {
  if (mode.global !== undefined) return 'global';
  if (mode.replicatedJob !== undefined) return 'replicated-job';
  return mode.globalJob === undefined ? 'replicated' : 'global-job';
}
