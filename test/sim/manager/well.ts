/** Whether the swarm is as it was asked to be. */
import { isWanted, type Service, type Task } from '../../../types/index.ts';
import type { Store } from '../../../manager/store/index.ts';
import type { Swarm } from './swarm.ts';

/** A sentence about the first thing that is not as it should be; nothing where all is well. */
export function whatIsWrong(swarm: Swarm): string | undefined {
  const { leader, managers, hosts, membership } = swarm;
  const store = leader?.store;
  if (store === undefined) return 'nobody leads';
  if (!membership.isSettled) return 'the managers are not all there';
  for (const { id, store: other, isGone } of managers) {
    if (isGone) continue;
    if (other === undefined) return `${id} does not run`;
    // That digests are equal where indexes are, the witness has seen already.
    if (other.index !== store.index) return `${id} is at ${other.index}, not ${store.index}`;
  }
  for (const { id, isUp } of hosts) {
    const state = store.node(id)?.status.state;
    if ((state === 'ready') !== isUp) return `${id} is ${isUp ? 'up' : 'lost'}, and held ${state}`;
  }
  for (const service of store.services()) {
    const wrong = wrongWith(service, store, swarm);
    if (wrong !== undefined) return wrong;
  }
  const wanted = [...store.tasks()].filter(({ desiredState }) => isWanted(desiredState));
  const running = hosts.flatMap((host) => host.running.map(({ task }) => task.id));
  const [extra] = running.filter((id) => !wanted.some((task) => task.id === id));
  if (extra !== undefined) return `the container of ${extra} runs, and is not wanted`;
  const missing = wanted.find(({ id }) => !running.includes(id));
  return missing === undefined ? undefined : `no container of ${missing.name} runs`;
}

function wrongWith(service: Service, store: Store, { hosts }: Swarm): string | undefined {
  const { id, spec, updateStatus } = service;
  const tasks = [...store.tasksOfService(id)].filter((task) => isWanted(task.desiredState));
  const expected =
    spec.mode.global === undefined
      ? spec.mode.replicated?.replicas
      : hosts.filter(({ isUp }) => isUp).length;
  if (tasks.length !== expected) {
    return `${spec.name} has ${tasks.length} wanted tasks, not ${expected}`;
  }
  const state = updateStatus?.state ?? 'completed';
  if (!state.endsWith('completed')) return `the update of ${spec.name} is ${state}`;
  return tasks.map((task) => wrongWithTask(task, spec.task.container?.image, store)).find(Boolean);
}

function wrongWithTask(task: Task, image: string | undefined, store: Store): string | undefined {
  const { name, desiredState, status, nodeId, spec } = task;
  if (desiredState !== 'running') return `${name} is wanted ${desiredState}`;
  if (status.state !== 'running') return `${name} is ${status.state}: ${status.err ?? ''}`;
  if (spec.container?.image !== image) return `${name} is of another image`;
  const node = store.node(nodeId)?.status.state;
  return node === 'ready' ? undefined : `${name} is on ${nodeId}, which is ${node}`;
}
