/**
 * Whether a task could be placed on a node now, found out from the objects alone: a second opinion
 * on the scheduler's filters, which read indexes.
 */
import { architectureOf } from '../../../manager/scheduler/constraint.ts';
import { constraintsOf, satisfiesAll } from '../../../manager/scheduler/index.ts';
import type { Store } from '../../../manager/store/index.ts';
import {
  isActive,
  whyForbidden,
  type GenericResource,
  type Node,
  type Task,
} from '../../../types/index.ts';
import { volumeMisfit } from './volume-rules.ts';

/** What of the node refuses the task; undefined where it fits. */
export function misfit(store: Store, task: Task, node: Node): string | undefined {
  if (node.status.state !== 'ready' || node.spec.availability !== 'active') return 'availability';
  const others = [...store.tasksOfNode(node.id)].filter(
    (other) => isActive(other) && other.id !== task.id,
  );
  const isForbidden = whyForbidden(task.spec.container, store.cluster()?.spec.labels) !== undefined;
  if (isForbidden) return 'it is not allowed';
  return fixedMisfit(task, node) ?? crowded(task, node, others) ?? volumeMisfit(store, task, node);
}

/** Of constraints and platform, which do not depend on what runs there. */
export function fixedMisfit({ spec }: Task, node: Node): string | undefined {
  if (!satisfiesAll(node, constraintsOf(spec.placement))) return 'constraints';
  const platforms = spec.placement?.platforms ?? [];
  const own = node.description?.platform;
  const isOwn = ({ os, architecture }: (typeof platforms)[number]) =>
    ['', own?.os].includes(os ?? '') &&
    ['', architectureOf(own?.architecture ?? '')].includes(architectureOf(architecture ?? ''));
  return platforms.length > 0 && !platforms.some(isOwn) ? 'platform' : undefined;
}

/** `others`: active tasks of the node, without this one. */
export function crowded(task: Task, node: Node, others: readonly Task[]): string | undefined {
  const { placement, resources } = task.spec;
  const { maxReplicas = 0 } = placement ?? {};
  const mates = others.filter(({ serviceId }) => serviceId === task.serviceId);
  if (maxReplicas > 0 && mates.length >= maxReplicas) return 'max replicas';
  const { nanoCpus = 0, memoryBytes = 0, genericResources = [] } = resources?.reservations ?? {};
  const has = node.description?.resources;
  const taken = (key: 'nanoCpus' | 'memoryBytes') =>
    others.reduce((sum, { spec }) => sum + (spec.resources?.reservations?.[key] ?? 0), 0);
  if (nanoCpus > 0 && taken('nanoCpus') + nanoCpus > (has?.nanoCpus ?? 0)) return 'cpus';
  if (memoryBytes > 0 && taken('memoryBytes') + memoryBytes > (has?.memoryBytes ?? 0)) {
    return 'memory';
  }
  const claimed = others.flatMap((other) => other.genericResources ?? []);
  for (const wanted of genericResources) {
    const kind = wanted.discrete?.kind ?? '';
    const present = countOf(has?.genericResources ?? [], kind);
    if (countOf(claimed, kind) + countOf([wanted], kind) > present) return 'devices';
  }
  const ports = new Set(others.flatMap((other) => portsOf(other)));
  return portsOf(task).some((port) => ports.has(port)) ? 'ports' : undefined;
}

function countOf(resources: readonly GenericResource[], kind: string): number {
  return resources.reduce((sum, { named, discrete }) => {
    if (named?.kind === kind) return sum + 1;
    return discrete?.kind === kind ? sum + discrete.value : sum;
  }, 0);
}

function portsOf({ ports = [] }: Task): string[] {
  return ports.flatMap(({ protocol, publishedPort = 0, publishMode }) =>
    publishMode === 'host' && publishedPort > 0 ? [`${protocol}/${publishedPort}`] : [],
  );
}
