/**
 * Containers of tasks, reached from elsewhere: what a node serves to managers, and how a manager
 * comes to it.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { StoreView } from '../../manager/store/view.ts';
import type { Task } from '../../types/index.ts';
import { taskContainerHexId } from '../../worker/runtime/hex-id.ts';
import { containerIdOf } from '../../worker/task/index.ts';
import type { ManagerBackend } from '../backend.ts';
import type { Exchange } from '../exchange.ts';
import { findTask, placeName } from '../lookup.ts';
import { relay } from '../relay.ts';
import type { Route } from '../router.ts';
import { csiRoutes } from './cluster-volumes.ts';
import { containerArchiveRoutes } from './container-archive.ts';
import { containerRoutes } from './containers.ts';
import { containerStreamRoutes } from './container-streams.ts';
import { execRoutes } from './exec.ts';
import type { RouteModules } from './modules.ts';

/** What can be asked of a container, by the last part of its path: none of it changes the task. */
const verbs: readonly (readonly [Route['method'], string])[] = [
  ['GET', 'json'],
  ['GET', 'top'],
  ['GET', 'stats'],
  ['GET', 'logs'],
  ['GET', 'changes'],
  ['GET', 'export'],
  ['HEAD', 'archive'],
  ['GET', 'archive'],
  ['PUT', 'archive'],
  ['POST', 'attach'],
  ['GET', 'attach/ws'],
  ['POST', 'resize'],
  ['POST', 'wait'],
  ['POST', 'exec'],
];
const execVerbs: readonly (readonly [Route['method'], string])[] = [
  ['POST', 'start'],
  ['POST', 'resize'],
  ['GET', 'json'],
];

/** Of other nodes' commands, as many are remembered by the node that they run on. */
const execsMax = 4096;
const createdBytesMax = 4096;

/** Everything about the containers of this node. */
function ownRoutes(modules: RouteModules): Route[] {
  return [
    ...containerRoutes(modules),
    ...containerStreamRoutes(modules),
    ...containerArchiveRoutes(modules),
    ...execRoutes(modules),
  ];
}

function isReachable({ method, path }: Route): boolean {
  return (
    verbs.some(([wanted, verb]) => wanted === method && path === `/containers/{id...}/${verb}`) ||
    execVerbs.some(([wanted, verb]) => wanted === method && path === `/exec/{id}/${verb}`)
  );
}

/** What managers may ask of this node: its tasks' containers, none of its own, and its drivers. */
export function servedToManagers(modules: RouteModules): Route[] {
  const { containers } = modules.backend;
  const reachable = ownRoutes(modules).filter(isReachable);
  const ofContainers = reachable.map((route): Route => ({
    ...route,
    async handle(exchange) {
      const id = exchange.param('id');
      const container = route.path.startsWith('/exec/')
        ? containers.execs.view(id).containerId
        : id;
      const { own } = await containers.find(container);
      if (own !== undefined) throw new SwarmError('not-found', `No such container: ${container}`);
      await route.handle(exchange);
    },
  }));
  return [...ofContainers, ...csiRoutes(modules)];
}

/**
 * The containers of this node, and on a manager those of all nodes' tasks: by the same paths as its
 * own, and by the task's, which any manager answers.
 */
export function allContainerRoutes(modules: RouteModules): Route[] {
  const remote = new RemoteContainers(modules);
  const ofTasks = verbs
    .filter(([, verb]) => verb !== 'logs')
    .map(([method, verb]): Route => ({
      method,
      path: `/tasks/{id}/${verb === 'json' ? 'container' : verb}`,
      handle: (exchange) => remote.task(exchange, verb),
    }));
  const ofExecs = execVerbs.map(([method, verb]): Route => ({
    method,
    path: `/tasks/{id}/exec/{exec}/${verb}`,
    handle: (exchange) => remote.taskExec(exchange, verb),
  }));
  const ofContainers = ownRoutes(modules).map((route) =>
    isReachable(route) ? orElse(route, remote) : route,
  );
  return [...ofContainers, ...ofTasks, ...ofExecs];
}

/** What this node does not have, another may. */
function orElse(route: Route, remote: RemoteContainers): Route {
  return {
    ...route,
    async handle(exchange) {
      try {
        await route.handle(exchange);
      } catch (error) {
        if (exchange.started || SwarmError.from(error).code !== 'not-found') throw error;
        if (!(await remote.answers(exchange, route.path))) throw error;
      }
    },
  };
}

class RemoteContainers {
  readonly #modules: RouteModules;
  /** The nodes of the commands that clients have made by a container's path. */
  readonly #execs = new Map<string, string>();

  constructor(modules: RouteModules) {
    this.#modules = modules;
  }

  async task(exchange: Exchange, verb: string): Promise<void> {
    const { manager, view, task } = await this.#find(exchange);
    await this.#pass(exchange, manager, view, task.nodeId, `${pathOf(task)}/${verb}`);
  }

  async taskExec(exchange: Exchange, verb: string): Promise<void> {
    const { manager, view, task } = await this.#find(exchange);
    const path = `/exec/${encodeURIComponent(exchange.param('exec'))}/${verb}`;
    await this.#pass(exchange, manager, view, task.nodeId, path);
  }

  /** False where no other node has it, as far as this node knows. */
  async answers(exchange: Exchange, routePath: string): Promise<boolean> {
    const { backend } = this.#modules;
    const { isManager, state, nodeId: ownId } = backend.swarm.status();
    if (!isManager || state !== 'active') return false;
    const manager = backend.manager();
    const id = exchange.param('id');
    const verb = routePath.slice(routePath.indexOf('}/') + '}/'.length);
    if (routePath.startsWith('/exec/')) {
      const nodeId = this.#execs.get(id);
      if (nodeId === undefined) return false;
      const path = `/exec/${encodeURIComponent(id)}/${verb}`;
      await this.#pass(exchange, manager, await manager.read(), nodeId, path);
      return true;
    }
    const view = await manager.read();
    const task = taskOfContainer(view, id);
    if (task === undefined || task.nodeId === ownId) return false;
    await this.#pass(exchange, manager, view, task.nodeId, `${pathOf(task)}/${verb}`);
    return true;
  }

  async #find(exchange: Exchange) {
    const manager = this.#modules.backend.manager();
    const view = await manager.read();
    const task = findTask(view, exchange.param('id'));
    if (task.nodeId === '') {
      throw new SwarmError(
        'aborted',
        `task ${placeName(task)} is ${task.status.state}: it has no container yet`,
      );
    }
    return { manager, view, task };
  }

  async #pass(
    exchange: Exchange,
    manager: ManagerBackend,
    view: StoreView,
    nodeId: string,
    path: string,
  ): Promise<void> {
    const nodeName = view.node(nodeId)?.description?.hostname ?? nodeId;
    const node = await manager.reach(nodeId, { signal: exchange.signal });
    if (!path.endsWith('/exec')) {
      await relay(exchange, node, { path, nodeName });
      return;
    }
    const created: Uint8Array[] = [];
    const observe = (status: number, chunk: Uint8Array) => {
      if (status === 201 && chunk.length < createdBytesMax) created.push(chunk);
    };
    // Remembered once it is known, and before its client can ask for it.
    await relay(exchange, node, {
      path,
      nodeName,
      observe: (...seen) => {
        observe(...seen);
        this.#remember(created, nodeId);
      },
    });
  }

  #remember(created: readonly Uint8Array[], nodeId: string): void {
    const id = /"Id":"([0-9a-f]{64})"/.exec(Buffer.concat(created).toString('utf8'))?.[1];
    if (id === undefined) return;
    this.#execs.set(id, nodeId);
    const [oldest] = this.#execs.keys();
    if (this.#execs.size > execsMax && oldest !== undefined) this.#execs.delete(oldest);
  }
}

function pathOf(task: Task): string {
  return `/containers/${taskContainerHexId(containerIdOf(task))}`;
}

/** By its name, or by the start of its id, as it is known on its node. */
function taskOfContainer(view: StoreView, reference: string): Task | undefined {
  const bare = reference.replace(/^\//, '');
  const tasks = [...view.tasks()].filter(({ nodeId }) => nodeId !== '');
  const named = tasks.find((task) => containerIdOf(task) === bare);
  if (named !== undefined || !/^[0-9a-f]{1,64}$/.test(reference)) return named;
  const starting = tasks.filter((task) =>
    taskContainerHexId(containerIdOf(task)).startsWith(reference),
  );
  if (starting.length < 2) return starting[0];
  throw new SwarmError('invalid-argument', `multiple IDs found with provided prefix: ${reference}`);
}
