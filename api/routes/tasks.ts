import { SwarmError } from '../../lib/errors.ts';
import { dirtiness } from '../../manager/orchestrator/index.ts';
import type { StoreView } from '../../manager/store/view.ts';
import { isTerminal, taskStates, type Task } from '../../types/index.ts';
import { taskJson } from '../convert/task.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { findNode, findService, findTask } from '../lookup.ts';
import type { Route } from '../router.ts';
import { sendLogs } from './logs.ts';
import type { RouteModules } from './modules.ts';
import { byId } from './order.ts';

const filterKeys = [
  'name',
  'id',
  'label',
  'service',
  'node',
  'desired-state',
  // Docker's clients ask for it while they wait for a service to converge.
  '_up-to-date',
  'runtime',
];

export function taskRoutes({ backend }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/tasks',
      async handle(exchange) {
        const view = await backend.manager().read();
        await exchange.jsonList(list(exchange, view), (task) =>
          taskJson(task, (id) => view.network(id)),
        );
      },
    },
    {
      method: 'GET',
      path: '/tasks/{id}',
      async handle(exchange) {
        const view = await backend.manager().read();
        const task = findTask(view, exchange.param('id'));
        exchange.json(taskJson(task, (id) => view.network(id)));
      },
    },
    {
      method: 'GET',
      path: '/tasks/{id}/logs',
      async handle(exchange) {
        const manager = backend.manager();
        const task = findTask(await manager.read(), exchange.param('id'));
        await sendLogs(exchange, manager, { task });
      },
    },
  ];
}

function list(exchange: Exchange, view: StoreView): Task[] {
  const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
  for (const state of filters.get('desired-state')) {
    if (state !== '' && !Object.hasOwn(taskStates, state.toLowerCase())) {
      throw new SwarmError('invalid-argument', `Invalid desired-state filter: '${state}'`);
    }
  }
  const services = filters.get('service').map((input) => findService(view, input).id);
  const nodes = filters.get('node').map((input) => findNode(view, input).id);
  const isUpToDate = upToDateTest(view);
  const found = candidates(view, services, nodes).filter(
    (task) =>
      (services.length === 0 || services.includes(task.serviceId)) &&
      (nodes.length === 0 || nodes.includes(task.nodeId)) &&
      !isLeftOver(view, task) &&
      filters.any('name', (prefix) => task.name.startsWith(prefix)) &&
      filters.any('id', (prefix) => task.id.startsWith(prefix)) &&
      filters.labels('label', task.spec.container?.labels ?? {}) &&
      filters.any('desired-state', (state) => task.desiredState === state.toLowerCase()) &&
      isOfRuntime(task, filters.get('runtime')) &&
      (!filters.has('_up-to-date') || isUpToDate(task)),
  );
  return byId(found);
}

/**
 * One of a service that was removed, which has ended: it is about to be removed as well. `docker
 * stack rm --detach=false` counts how often it sees one that has ended, and never returns where the
 * others are gone before it has seen as many.
 */
function isLeftOver(view: StoreView, { serviceId, status }: Task): boolean {
  return serviceId !== '' && isTerminal(status.state) && view.service(serviceId) === undefined;
}

/** The smallest index that holds all that is asked for. */
function candidates(
  view: StoreView,
  services: readonly string[],
  nodes: readonly string[],
): Task[] {
  if (services.length > 0) {
    return [...new Set(services)].flatMap((id) => [...view.tasksOfService(id)]);
  }
  if (nodes.length > 0) return [...new Set(nodes)].flatMap((id) => [...view.tasksOfNode(id)]);
  return [...view.tasks()];
}

/** Each service is compared with its tasks once, however many it has. */
function upToDateTest(view: StoreView): (task: Task) => boolean {
  const tests = new Map<string, (task: Task) => boolean>();
  return (task) => {
    const service = view.service(task.serviceId);
    if (service === undefined) return false;
    let isDirty = tests.get(service.id);
    if (isDirty === undefined) tests.set(service.id, (isDirty = dirtiness(view, service)));
    return !isDirty(task);
  };
}

/** Docker tells of containers' attachments to networks only where they are asked for. */
function isOfRuntime({ spec }: Task, wanted: readonly string[]): boolean {
  const { runtime = 'container' } = spec;
  return wanted.length === 0 ? runtime !== 'attachment' : wanted.includes(runtime);
}
