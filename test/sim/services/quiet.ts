/** What must hold once nothing fails any more and time has passed: what is, is what is wanted. */
import { isDeepStrictEqual } from 'node:util';
import { constraintsOf, satisfiesAll } from '../../../manager/scheduler/index.ts';
import { attachmentsOf, publishesIngress, type Store } from '../../../manager/store/index.ts';
import {
  cronOf,
  dependenciesOf,
  isActive,
  isJobMode,
  isTerminal,
  isWanted,
  whyForbidden,
  type Node,
  type Service,
  type Task,
} from '../../../types/index.ts';
import type { SimCluster } from '../../scenario/sim-cluster.ts';
import { Violation } from '../violation.ts';
import { misfit } from './fits.ts';
import { slotOf } from './slot.ts';
import { checkVolumesQuiet } from './volume-rules.ts';

export function checkQuiet(cluster: SimCluster): void {
  const { store } = cluster;
  for (const service of store.services()) {
    checkService(service, store);
    checkNetworks(service, store);
    checkHistory(service, store);
  }
  checkAddresses(store);
  checkContainers(cluster);
  checkFiles(store);
  checkVolumesQuiet(cluster);
}

/** Once every service is gone, nothing of them is left. */
export function checkEmpty(cluster: SimCluster): void {
  const { store } = cluster;
  checkVolumesQuiet(cluster);
  const [task] = store.tasks();
  if (task !== undefined) fail('nothing is left', `${task.name} is, ${task.status.state}`);
  for (const { id, spec } of store.networks()) {
    for (const [address, holder] of store.usedAddresses(id)) {
      if (store.node(holder) !== undefined && spec.ingress === true) continue;
      fail('nothing is left', `${holder} holds ${address} of ${spec.name}`);
    }
  }
  for (const kind of ['secret', 'config'] as const) {
    const [old] = store.supersededFiles(kind);
    if (old !== undefined) fail('nothing is left', `revision ${old.revision} of ${old.spec.name}`);
  }
}

function fail(rule: string, what: string): never {
  throw new Violation(rule, what);
}

const rule = 'desired equals observed';

function checkService(service: Service, store: Store): void {
  const { spec } = service;
  const tasks = [...store.tasksOfService(service.id)];
  if (isJobMode(spec.mode)) {
    checkJob(service, tasks, store);
    return;
  }
  const slots = Map.groupBy(tasks, slotOf);
  let live = 0;
  for (const own of slots.values()) {
    const wanted = own.filter(({ desiredState }) => isWanted(desiredState));
    const [task, second] = wanted;
    if (second !== undefined && !isHandingOver(service, wanted)) {
      fail(rule, `${task?.name} and ${second.name} share a slot`);
    }
    for (const one of wanted) checkTask(one, service, store);
    if (task !== undefined || hasStopped(own)) live += 1;
  }
  if (spec.mode.global === undefined) {
    const { replicas = 1 } = spec.mode.replicated ?? {};
    if (live !== replicas) fail(rule, `${spec.name} has ${live} replicas, not ${replicas}`);
  } else checkGlobal(service, slots, store);
  const { state, message = '' } = service.updateStatus ?? {};
  const isUnderWay = state === 'updating' || state === 'rollback_started';
  const isHandedOver = [...slots.values()].every((own) => {
    return own.filter(({ desiredState }) => isWanted(desiredState)).length < 2;
  });
  if (isUnderWay && isHandedOver && !message.includes('waits for')) {
    fail(rule, `the update of ${spec.name} is ${state}: ${message}`);
  }
}

/** The old task is kept until the new one, which finds no place, runs. */
function isHandingOver({ spec }: Service, wanted: readonly Task[]): boolean {
  const isStartFirst = [spec.updateConfig, spec.rollbackConfig].some(
    (config) => config?.order === 'start-first',
  );
  return isStartFirst && wanted.length === 2 && wanted.some(({ nodeId }) => nodeId === '');
}

/** The slot's last task has ended, and nobody is to take its place. */
function hasStopped(own: readonly Task[]): boolean {
  const last = own.toSorted((a, b) => a.meta.createdAtMs - b.meta.createdAtMs).at(-1);
  if (last?.desiredState !== 'shutdown' || !isTerminal(last.status.state)) return false;
  const { condition = 'any', maxAttempts = 0 } = last.spec.restartPolicy ?? {};
  if (condition === 'none') return true;
  if (condition === 'on-failure' && last.status.state === 'complete') return true;
  return maxAttempts > 0;
}

function checkGlobal(
  { spec }: Service,
  slots: ReadonlyMap<string, readonly Task[]>,
  store: Store,
): void {
  const wanted = new Map<string, readonly Task[]>();
  for (const own of slots.values()) {
    const [task] = own;
    if (task !== undefined) wanted.set(task.nodeId || (task.forNodeId ?? ''), own);
  }
  for (const node of store.nodes()) {
    const belongs = belongsOn(spec, node);
    const own = wanted.get(node.id) ?? [];
    const isThere = own.some(({ desiredState }) => isWanted(desiredState));
    const isOpen = node.spec.availability === 'active' && node.status.state === 'ready';
    if (isThere && !belongs) fail(rule, `${spec.name} is on ${node.id}, where it does not belong`);
    if (!isThere && belongs && isOpen && !hasStopped(own)) {
      fail(rule, `${spec.name} is not on ${node.id}`);
    }
  }
}

function belongsOn(spec: Service['spec'], node: Node): boolean {
  const constraints = constraintsOf(spec.task.placement);
  return (
    node.spec.availability !== 'drain' &&
    node.status.state !== 'down' &&
    satisfiesAll(node, constraints)
  );
}

function checkTask(task: Task, service: Service, store: Store): void {
  const { name, status, nodeId, desiredState } = task;
  if (nodeId === '') {
    checkWaiting(task, service, store);
    return;
  }
  const node = store.node(nodeId);
  if (node === undefined || node.status.state !== 'ready' || node.spec.availability === 'drain') {
    fail(rule, `${name} is wanted on ${nodeId}, which is no place for it`);
  }
  if (!satisfiesAll(node, constraintsOf(task.spec.placement))) {
    fail(rule, `${name} is on ${nodeId}, which its constraints exclude`);
  }
  if (desiredState !== 'running') fail(rule, `${name} is wanted ${desiredState}`);
  if (status.state !== 'running') fail(rule, `${name} is ${status.state}`);
  const state = service.updateStatus?.state ?? '';
  const isHeld = state !== '' && !state.endsWith('completed');
  const isOld = (from: Service['spec']['task']) => {
    const { placement: _own, ...present } = task.spec;
    const { placement: _other, ...asked } = from;
    return !isDeepStrictEqual(present, asked);
  };
  if (!isHeld && isOld(service.spec.task)) fail(rule, `${name} is not of the present spec`);
}

function waits({ updateStatus, spec }: Service): boolean {
  return dependenciesOf(spec).length > 0 && updateStatus?.message.includes('waits for') === true;
}

/** A task that waits has a reason, and the reason is true. */
function checkWaiting(task: Task, service: Service, store: Store): void {
  const { name, status } = task;
  const { err = '', state } = status;
  const why = (what: string) => fail('what waits has a reason', `${name}: ${what}: "${err}"`);
  if (state !== 'pending' || err === '') why(`it is ${state}`);
  if (err.startsWith('no suitable node')) {
    if (/slot \d+ waits for/.test(err)) return;
    const nodes = [...store.nodes()].filter(
      ({ id }) => task.forNodeId === undefined || id === task.forNodeId,
    );
    const free = nodes.find((node) => misfit(store, task, node) === undefined);
    if (free !== undefined) why(`it would fit on ${free.id}`);
    return;
  }
  if (err.startsWith('this swarm does not allow')) {
    const swarm = store.cluster()?.spec.labels;
    if (whyForbidden(task.spec.container, swarm) !== err) why('it is allowed');
    return;
  }
  if (err.startsWith('waits for')) {
    if (dependenciesOf(service.spec).length === 0) why('it depends on nobody');
    return;
  }
  if (
    /already in use by service|not found|no free address|is full|no ingress|no .* left/.test(err)
  ) {
    return;
  }
  if (!attachmentsOf(task.spec).length && !publishesIngress(service.spec))
    why('it asks for nothing');
}

function checkJob(service: Service, tasks: readonly Task[], store: Store): void {
  const { spec, jobStatus, cronStatus } = service;
  const own = tasks.filter(({ jobIteration }) => jobIteration === jobStatus?.iteration);
  for (const task of tasks.filter(isActive)) {
    if (task.nodeId === '') checkWaiting(task, service, store);
    else fail(rule, `${task.name} of a job is ${task.status.state}`);
  }
  if (cronOf(spec) !== undefined && cronStatus?.run === undefined) return;
  const slots = Map.groupBy(own, slotOf);
  const standings = [...slots.values()].map((mates) => {
    if (mates.some(({ status }) => status.state === 'complete')) return 'done';
    if (mates.some(isActive)) return 'open';
    return hasStopped(mates) ? 'given up' : 'free';
  });
  if (spec.mode.globalJob !== undefined) {
    checkGlobalJob(service, slots, store);
    return;
  }
  const asked = cronOf(spec) === undefined ? spec.mode.replicatedJob : cronStatus?.run;
  const settled = standings.filter((standing) => standing !== 'free').length;
  const { totalCompletions = 1, maxConcurrent = 1 } = asked ?? {};
  const open = standings.filter((standing) => standing === 'open').length;
  if (settled === totalCompletions || open === Math.min(maxConcurrent, totalCompletions)) return;
  if (open > 0 && open + settled >= Math.min(maxConcurrent, totalCompletions)) return;
  fail(rule, `${spec.name} has settled ${settled} of ${totalCompletions}: ${standings.join(', ')}`);
}

function checkGlobalJob(
  { spec, jobStatus, cronStatus }: Service,
  slots: ReadonlyMap<string, readonly Task[]>,
  store: Store,
): void {
  for (const node of store.nodes()) {
    const isOpen = node.spec.availability === 'active' && node.status.state === 'ready';
    const isLate =
      cronStatus !== undefined && node.meta.createdAtMs > (jobStatus?.lastExecutionMs ?? 0);
    if (!isOpen || isLate || !belongsOn(spec, node)) continue;
    const own = [...slots.values()].find(([task]) => task?.forNodeId === node.id) ?? [];
    const isDone = own.some(({ status }) => status.state === 'complete') || own.some(isActive);
    if (!isDone && !hasStopped(own)) fail(rule, `${spec.name} has not run on ${node.id}`);
  }
}

/** The service and its tasks have addresses on just the networks that the spec asks for. */
function checkNetworks(service: Service, store: Store): void {
  const { spec, virtualIps = [], id, updateStatus } = service;
  const named = attachmentsOf(spec.task).map(({ target }) => target);
  const mesh = publishesIngress(spec) ? [store.ingressNetwork()?.id ?? ''] : [];
  const asked = [...named, ...mesh];
  const vips = virtualIps.map(({ networkId }) => networkId);
  const expected = spec.endpoint?.mode === 'dnsrr' ? [] : asked;
  if (!isDeepStrictEqual(vips, expected)) {
    const isBlocked = [...store.tasksOfService(id)].some(
      ({ nodeId, desiredState }) => nodeId === '' && isWanted(desiredState),
    );
    const isAsleep = spec.mode.replicated?.replicas === 0 || isJobMode(spec.mode);
    const left = vips.filter((network) => !expected.includes(network));
    if (left.length > 0 || !(isBlocked || isAsleep || isPaused(updateStatus))) {
      fail(
        'addresses',
        `${spec.name} has virtual addresses on ${vips.join()}, not ${expected.join()}`,
      );
    }
  }
  for (const task of store.tasksOfService(id)) {
    if (!isActive(task) || task.nodeId === '' || isPaused(updateStatus)) continue;
    const on = (task.networks ?? []).map(({ networkId }) => networkId);
    if (isDeepStrictEqual(on, asked) || waits(service)) continue;
    fail('addresses', `${task.name} is on ${on.join()}, and is to be on ${asked.join()}`);
  }
}

function isPaused(status: Service['updateStatus']): boolean {
  return status?.state.endsWith('paused') === true;
}

/** What is held is held by those who are there: nothing is left over. */
function checkAddresses(store: Store): void {
  for (const { id, spec } of store.networks()) {
    for (const [address, holder] of store.usedAddresses(id)) {
      const task = store.task(holder);
      const isThere =
        task === undefined
          ? store.service(holder) !== undefined || store.node(holder) !== undefined
          : isWanted(task.desiredState);
      if (!isThere) fail('addresses', `${holder} holds ${address} of ${spec.name} for nothing`);
    }
  }
}

/** The containers that run are those that are wanted. */
function checkContainers({ store, workers }: SimCluster): void {
  const running = new Set([...workers.values()].flatMap((worker) => worker.running));
  const wanted = [...store.tasks()].filter((task) => isActive(task) && task.nodeId !== '');
  for (const { id, name } of wanted) {
    if (!running.delete(id)) fail(rule, `no container of ${name} runs`);
  }
  const [extra] = running;
  if (extra === undefined) return;
  fail(rule, `the container of ${store.task(extra)?.name ?? extra} runs, and is not wanted`);
}

function checkHistory({ id, spec }: Service, store: Store): void {
  const { taskHistoryLimit: limit = 5 } = store.cluster()?.spec.orchestration ?? {};
  if (limit < 0) return;
  const cron = cronOf(spec);
  const tasks = [...store.tasksOfService(id)];
  // A job's slots keep what came of earlier iterations within the same limit.
  const bySlot = Map.groupBy(tasks, (task) => {
    const run = cron === undefined ? '' : String(task.jobIteration);
    return `${run} ${task.slot} ${task.slot === 0 ? (task.forNodeId ?? task.nodeId) : ''}`;
  });
  for (const own of bySlot.values()) {
    const last = own.toSorted((a, b) => a.meta.createdAtMs - b.meta.createdAtMs).at(-1);
    const { maxAttempts = 0 } = last?.spec.restartPolicy ?? {};
    const most = Math.max(limit, maxAttempts === 0 ? 0 : maxAttempts + 1, 1);
    const held = own.filter(isActive).length + own.filter(isComplete).length;
    if (own.length <= Math.max(most, held)) continue;
    fail('the history limit', `${last?.name} has ${own.length} tasks in its slot, not ${most}`);
  }
  if (cron === undefined) return;
  const runs = new Set(tasks.map(({ jobIteration }) => jobIteration));
  const kept = (cron.history ?? limit) + 1;
  if (
    runs.size <=
    kept +
      [...runs].filter((run) => tasks.some((t) => t.jobIteration === run && isActive(t))).length
  )
    return;
  fail('the history limit', `${spec.name} keeps ${runs.size} runs, not ${kept}`);
}

function isComplete({ status, desiredState }: Task): boolean {
  return status.state === 'complete' && isWanted(desiredState);
}

/** No revision is kept that nobody could go back to. */
function checkFiles(store: Store): void {
  for (const kind of ['secret', 'config'] as const) {
    for (const { id, spec, revision } of store.supersededFiles(kind)) {
      if (!store.isFileUsed(id)) fail('revisions', `${spec.name} keeps revision ${revision}`);
    }
  }
}
