/** Why one task is as it is. */
import {
  dirtiness,
  endedItself,
  faultOf,
  givenUpAtMs,
  lackOf,
  mayRestart,
  restartDelayMs,
  stopping,
  wanted,
} from '../orchestrator/index.ts';
import { constraintsOf, preferencesOf, satisfiesAll, verdictsOn } from '../scheduler/index.ts';
import type { StoreView } from '../store/view.ts';
import {
  compareStates,
  isTerminal,
  type NodeVerdict,
  type Reason,
  type Service,
  type Task,
  type TaskExplanation,
} from '../../types/index.ts';
import { about, endOf, hostnameOf, lasting, nodeName, plural, slotName, slotOf } from './words.ts';

interface Env {
  readonly nowMs: number;
}

const defaultStopGraceMs = 10_000;

export function explainTask(view: StoreView, task: Task, env: Env): TaskExplanation {
  const isPlaced = wanted(task) && !isTerminal(task.status.state);
  const nodes = isPlaced ? nodesFor(view, task, env) : [];
  return {
    id: task.id,
    name: slotName(view, task),
    nodeId: task.nodeId,
    state: task.status.state,
    desiredState: task.desiredState,
    reasons: reasonsOf(view, task, nodes, env),
    nodes,
  };
}

function reasonsOf(
  view: StoreView,
  task: Task,
  nodes: readonly NodeVerdict[],
  env: Env,
): readonly Reason[] {
  if (isTerminal(task.status.state)) return whyEnded(view, task, env);
  if (!wanted(task)) return [...whyStopped(view, task), ...whatStopAwaits(view, task, env)];
  if (task.nodeId === '') return [...whyHeld(view, task, env), ...whyPending(view, task, nodes)];
  return [
    ...onItsWay(view, task, env),
    ...whyHeld(view, task, env),
    ...outdated(view, task),
    ...predecessors(view, task),
    ...whyHere(view, task, nodes),
  ];
}

function nodesFor(view: StoreView, task: Task, env: Env): readonly NodeVerdict[] {
  return verdictsOn(view, task, env).map(({ node, ...verdict }) => {
    return { id: node.id, hostname: hostnameOf(node), ...verdict };
  });
}

function whyPending(view: StoreView, task: Task, nodes: readonly NodeVerdict[]): Reason[] {
  if (view.service(task.serviceId) === undefined) {
    return [about('stop', 'its service has been removed, and the task goes with it')];
  }
  const fitting = nodes.filter(({ refusals }) => refusals.length === 0);
  const { err } = task.status;
  if (nodes.length > 0 && fitting.length === 0) {
    const all = nodes.length === 1 ? 'the only node refuses' : `all ${nodes.length} nodes refuse`;
    return [about('wait', `${all} the task; it is placed as soon as one of them can take it`)];
  }
  if (err === undefined) return [about('wait', 'it is to be placed in the next moment')];
  if (err.startsWith('no suitable node')) {
    const names = fitting.map(({ hostname }) => hostname).join(', ');
    return [about('wait', `it was refused before (${err}); now ${names} could take it`)];
  }
  return [about('wait', err)];
}

function whyHeld(view: StoreView, task: Task, env: Env): Reason[] {
  if (task.desiredState !== 'ready') return [];
  const dueMs = task.startAtMs ?? 0;
  if (dueMs > env.nowMs) {
    const delay = lasting(restartDelayMs(task.spec));
    const left = lasting(dueMs - env.nowMs);
    return [about('wait', `it starts in ${left}: the restart policy's delay is ${delay}`)];
  }
  return slotOf(view, task)
    .filter((other) => other.id !== task.id && stopping(view, other))
    .map((other) => {
      const where = nodeName(view, other.nodeId);
      return about('wait', `it starts once its predecessor ${other.id} on ${where} has stopped`);
    });
}

function onItsWay(view: StoreView, task: Task, { nowMs }: Env): Reason[] {
  const { state, message, err, atMs } = task.status;
  const node = view.node(task.nodeId);
  const name = nodeName(view, task.nodeId);
  const reasons: Reason[] = [];
  const since = state === 'running' ? (task.runningAtMs ?? atMs) : atMs;
  const said = state === 'running' || message === '' ? '' : ` (${message})`;
  reasons.push(about('state', `${state} on ${name} for ${lasting(nowMs - since)}${said}`));
  if (err !== undefined) reasons.push(about('state', err));
  if (node !== undefined && node.status.state !== 'ready') {
    const text = 'has not been heard of for some seconds: the task is replaced if it stays away';
    reasons.push(about('node', `${name} ${text}`));
  }
  if (compareStates(state, 'running') < 0 && task.spec.container?.healthCheck !== undefined) {
    reasons.push(about('wait', 'it counts as running once its health check has succeeded'));
  }
  return reasons;
}

/** A paused or waiting update leaves tasks of the spec before it. */
function outdated(view: StoreView, task: Task): Reason[] {
  const service = view.service(task.serviceId);
  if (service === undefined || !dirtiness(view, service)(task)) return [];
  const state = service.updateStatus?.state ?? '';
  const when = state.endsWith('paused')
    ? `the update is paused (${service.updateStatus?.message})`
    : 'its turn in the update has not come';
  return [about('update', `it is of an older spec of ${task.serviceName}: ${when}`)];
}

/** What became of the tasks that were in this one's place. */
function predecessors(view: StoreView, task: Task): Reason[] {
  const before = slotOf(view, task).filter(
    (other) => other.id !== task.id && other.meta.createdAtMs <= task.meta.createdAtMs,
  );
  const last = before.findLast((other) => !wanted(other));
  if (last === undefined) return [];
  const [why] = isTerminal(last.status.state) ? whyGone(view, last) : whyStopped(view, last);
  const failures = before.filter(
    (other) => endedItself(other) && other.status.state !== 'complete',
  );
  const often = failures.length > 1 ? `; ${plural(failures.length, 'failure')} are remembered` : '';
  return [about('restart', `it took the place of ${last.id}, for ${why?.text}${often}`)];
}

function whyHere(view: StoreView, task: Task, nodes: readonly NodeVerdict[]): Reason[] {
  const name = nodeName(view, task.nodeId);
  if (task.forNodeId !== undefined) {
    return [about('place', `a global service has a task on every node that fits, ${name} does`)];
  }
  const own = nodes.find(({ id }) => id === task.nodeId);
  if (own === undefined) return [];
  const fitting = nodes.filter(({ refusals }) => refusals.length === 0);
  const better = fitting.indexOf(own);
  const load = `${own.serviceTasks} other tasks of ${task.serviceName} and ${own.tasks} in all`;
  if (own.refusals.length > 0) {
    return [about('place', `${name} was chosen before; now it ${own.refusals.join(', and it ')}`)];
  }
  const labels = preferencesOf(task.spec.placement);
  const spread = labels.length === 0 ? '' : `; the spread over ${labels.join(', ')} comes first`;
  const rank =
    fitting.length === 1
      ? `it is the only one of ${plural(nodes.length, 'node')} that fits`
      : better === 0
        ? `it would be chosen again: it has ${load}, and none of ${fitting.length} that fit has fewer`
        : `it was the best when the task was placed; now it has ${load}, and ${fitting[0]?.hostname} fewer`;
  return [about('place', `on ${name}: ${rank}${spread}`)];
}

function whyEnded(view: StoreView, task: Task, env: Env): Reason[] {
  const reasons = whyGone(view, task);
  const ago = lasting(env.nowMs - task.status.atMs);
  const state = about(
    'state',
    `ended ${ago} ago on ${nodeName(view, task.nodeId)}: ${endOf(task)}`,
  );
  const own = task.nodeId === '' ? [] : [state];
  const slot = slotOf(view, task);
  const successor = slot.find(
    (other) => other.meta.createdAtMs > task.meta.createdAtMs && other.id !== task.id,
  );
  if (successor !== undefined) {
    const where = successor.nodeId === '' ? 'a node' : nodeName(view, successor.nodeId);
    const text = `${successor.id} took its place, ${successor.status.state} on ${where}`;
    return [...own, ...reasons, about('restart', text)];
  }
  return [...own, ...reasons, ...whyNoSuccessor(view, task, slot)];
}

function whyNoSuccessor(view: StoreView, task: Task, slot: readonly Task[]): Reason[] {
  const service = view.service(task.serviceId);
  if (service === undefined || !endedItself(task) || mayRestart(task, slot)) return [];
  const { condition = 'any', maxAttempts = 0 } = task.spec.restartPolicy ?? {};
  const why =
    condition === 'none' || (condition === 'on-failure' && task.status.state === 'complete')
      ? `the restart condition is ${condition}`
      : `the ${plural(maxAttempts, 'attempt')} that the restart policy allows are used up`;
  return [about('restart', `nothing takes its place: ${why}`)];
}

/** Why a task that has ended has done so. */
function whyGone(view: StoreView, task: Task): Reason[] {
  if (endedItself(task)) {
    const code = task.status.container?.exitCode;
    const exit = code === undefined ? '' : `, exit code ${code}`;
    return [about('stop', `it ended by itself (${endOf(task)}${exit})`)];
  }
  if (task.status.state === 'orphaned') {
    return [about('stop', `its node was lost (${endOf(task)})`)];
  }
  return whyStopped(view, task);
}

/** Why the managers told the task to stop, as far as it can be seen from what there is now. */
function whyStopped(view: StoreView, task: Task): Reason[] {
  const service = view.service(task.serviceId);
  if (service === undefined) return [about('stop', 'its service has been removed')];
  const slot = slotOf(view, task);
  const successor = slot.find(
    (other) =>
      other.id !== task.id && wanted(other) && other.meta.createdAtMs >= task.meta.createdAtMs,
  );
  if (successor !== undefined && successor.specVersion !== task.specVersion) {
    const how = service.updateStatus?.state.startsWith('rollback') ? 'a rollback' : 'an update';
    return [about('stop', `${how} replaced it by ${successor.id}${imageChange(task, successor)}`)];
  }
  if (endedItself(task)) return whyGone(view, task);
  const lost = lostNode(view, task, service);
  if (lost !== undefined) return [about('stop', lost)];
  const node = view.node(task.nodeId);
  const lack = node === undefined || successor === undefined ? undefined : lackOf(view, task, node);
  if (node !== undefined && lack !== undefined) {
    const text = `its node ${hostnameOf(node)} has no longer the ${lack} that it reserves`;
    return [about('stop', text)];
  }
  if (successor !== undefined && successor.nodeId !== '' && successor.nodeId !== task.nodeId) {
    const where = nodeName(view, successor.nodeId);
    return [about('stop', `it was moved to ${where}, to spread the service: ${successor.id}`)];
  }
  if (slot.some((other) => wanted(other))) {
    return [about('stop', `${successor?.id ?? 'another task'} took its place`)];
  }
  if (service.spec.mode.replicated !== undefined) {
    const replicas = service.spec.mode.replicated.replicas ?? 1;
    return [about('stop', `the service was scaled to ${plural(replicas, 'replica')}`)];
  }
  return [about('stop', 'the service wants no task in its place any more')];
}

function imageChange(old: Task, next: Task): string {
  const [from = '', to = ''] = [old, next].map((task) => task.spec.container?.image);
  return from === to ? '' : ` (image ${from} to ${to})`;
}

function lostNode(view: StoreView, task: Task, service: Service): string | undefined {
  if (task.nodeId === '') return undefined;
  const name = nodeName(view, task.nodeId);
  const node = view.node(task.nodeId);
  if (node === undefined) return `its node ${task.nodeId} has been removed`;
  const alive: Task = { ...task, status: { ...task.status, state: 'running' } };
  const fault = faultOf(view, alive, service.spec.task);
  if (fault === 'node-lost') return `its node ${name} is down`;
  if (node.spec.availability === 'drain') return `its node ${name} is drained`;
  if (!satisfiesAll(node, constraintsOf(service.spec.task.placement))) {
    return `its node ${name} no longer satisfies the service's constraints`;
  }
  return undefined;
}

function whatStopAwaits(view: StoreView, task: Task, env: Env): Reason[] {
  if (task.nodeId === '') return [about('wait', 'it has no node, and is forgotten in a moment')];
  const name = nodeName(view, task.nodeId);
  const node = view.node(task.nodeId);
  const dueMs = givenUpAtMs(view, task);
  if (dueMs !== undefined && node !== undefined) {
    const left = lasting(dueMs - env.nowMs);
    return [about('wait', `${name} is down: the task is given up in ${left}, or when it is back`)];
  }
  if (node === undefined || node.status.state !== 'ready') {
    return [
      about('wait', `${name} has to be heard of before it can say that the task has stopped`),
    ];
  }
  const graceMs = task.spec.container?.stopGracePeriodMs ?? defaultStopGraceMs;
  const signal = task.spec.container?.stopSignal ?? 'SIGTERM, or the signal that its image names';
  const networks = task.networks?.length ?? 0;
  const first =
    networks === 0
      ? ''
      : 'first its endpoint leaves names and virtual addresses on every node (2.2 s at most); then ';
  const text = `${first}${name} stops it: ${signal}, and ${lasting(graceMs)} later SIGKILL`;
  return [about('wait', text)];
}
