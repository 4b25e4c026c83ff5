/** What must hold of tasks at the moment when they are given a node. */
import type { ChangeBatch, Store } from '../../../manager/store/index.ts';
import {
  clusterMountsOf,
  isActive,
  stayingVolumesOf,
  whyForbidden,
  type Node,
  type Task,
} from '../../../types/index.ts';
import { Violation } from '../violation.ts';
import { crowded, fixedMisfit, misfit } from './fits.ts';
import { checkVolumesOf } from './volume-rules.ts';

export function checkPlacements({ events, atMs }: ChangeBatch, store: Store): void {
  const placed: Task[] = [];
  for (const event of events) {
    if (event.table !== 'task' || event.action === 'remove') continue;
    const { object, old } = event;
    if (object.nodeId === '' || (old?.nodeId ?? '') !== '') continue;
    const task = store.task(object.id);
    if (task === undefined || !isActive(task)) continue;
    placed.push(task);
    checkNode(task, store, atMs);
    checkVolumesOf(task, store, atMs);
    checkAllowed(task, store, atMs);
  }
  for (const group of Map.groupBy(placed, ({ serviceId }) => serviceId).values()) {
    checkSpread(group, store);
  }
}

function checkNode(task: Task, store: Store, atMs: number): void {
  const fail = (what: string) => {
    throw new Violation('placement', `${task.name} is placed on ${task.nodeId}: ${what}`);
  };
  const node = store.node(task.nodeId);
  if (task.forNodeId !== undefined && task.forNodeId !== task.nodeId) {
    fail(`it was made for ${task.forNodeId}`);
  }
  // A node that is removed or changed at that very moment may be placed on yet.
  if (node === undefined || node.meta.updatedAtMs === atMs) return;
  const { status, spec } = node;
  if (status.state !== 'ready' || spec.availability !== 'active') {
    fail(`the node is ${status.state} and ${spec.availability}`);
  }
  const others = [...store.tasksOfNode(node.id)].filter(
    (other) => isActive(other) && other.id !== task.id,
  );
  const lack = fixedMisfit(task, node) ?? crowded(task, node, others);
  if (lack !== undefined) fail(lack);
}

/** Nothing begins that the swarm's settings do not allow. */
function checkAllowed({ name, spec }: Task, store: Store, atMs: number): void {
  const cluster = store.cluster();
  const why = whyForbidden(spec.container, cluster?.spec.labels);
  if (why === undefined || cluster?.meta.updatedAtMs === atMs) return;
  throw new Violation('only what is allowed begins', `${name}: ${why}`);
}

/**
 * Nobody has a second task of a service while another, who could take it, has none: at each level
 * of the preferences, and among the nodes of one branch.
 */
function checkSpread(placed: readonly Task[], store: Store): void {
  const [sample] = placed;
  if (sample === undefined || sample.forNodeId !== undefined || !isPlain(sample, store)) return;
  // The last one of those that are alike: those before it may have been chosen on other terms.
  if (placed.some(({ specVersion }) => specVersion !== sample.specVersion)) return;
  const open = [...store.nodes()].filter(
    (node) => misfit(store, { ...sample, id: '' }, node) === undefined,
  );
  const labels = (sample.spec.placement?.preferences ?? []).map(
    ({ spread }) => spread?.descriptor.replace('node.labels.', '') ?? '',
  );
  const pathOf = (node: Node | undefined) => [
    ...labels.map((label) => node?.spec.labels[label] ?? ''),
    node?.id ?? '',
  ];
  const active = [...store.tasksOfService(sample.serviceId)].filter(
    (task) => isActive(task) && task.nodeId !== '',
  );
  const paths = active.map((task) => pathOf(store.node(task.nodeId)));
  const countAt = (path: readonly string[], level: number) =>
    paths.filter((other) => path.slice(0, level + 1).every((name, at) => name === other[at]))
      .length;
  for (const task of placed) {
    const own = pathOf(store.node(task.nodeId));
    for (const node of open) {
      const other = pathOf(node);
      const level = own.findIndex((name, at) => name !== other[at]);
      if (level < 0) continue;
      const [here, there] = [countAt(own, level), countAt(other, level)];
      if (here - 1 <= there) continue;
      const counts = `${own[level]} has ${here} of them, and ${other[level]} only ${there}`;
      throw new Violation('spread', `${task.name} is placed on ${task.nodeId}: ${counts}`);
    }
  }
}

/** Where a service's tasks go depends on nothing but on how many there are of them. */
function isPlain({ serviceId, spec }: Task, store: Store): boolean {
  const service = store.service(serviceId);
  if (service === undefined || stayingVolumesOf(spec.container).length > 0) return false;
  if (clusterMountsOf(spec.container).length > 0) return false;
  // One that finds no address there gives its place up, which others have counted with.
  if (spec.networks !== undefined || service.spec.endpoint !== undefined) return false;
  return ![...store.tasksOfService(serviceId)].some(
    ({ status }) => status.state === 'failed' || status.state === 'rejected',
  );
}
