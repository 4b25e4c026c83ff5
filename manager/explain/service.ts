/** Why a service is as it is: what it lacks, how far its update is, what odd tasks wait for. */
import { dirtiness, wanted } from '../orchestrator/index.ts';
import type { StoreView } from '../store/view.ts';
import {
  autoscaleLabel,
  autoscaleOf,
  isActive,
  isJobMode,
  isTerminal,
  scaledText,
  type Reason,
  type Service,
  type ServiceExplanation,
  type Task,
  type UpdateConfig,
} from '../../types/index.ts';
import { jobReasons } from './job.ts';
import { explainTask } from './task.ts';
import { about, endOf, lasting, nodeName, plural } from './words.ts';

/** More tasks than these say nothing new, and each is compared with every node. */
const maxTasks = 10;

export function explainService(
  view: StoreView,
  service: Service,
  env: { readonly nowMs: number },
): ServiceExplanation {
  const tasks = [...view.tasksOfService(service.id)];
  const odd = oddTasks(tasks);
  return {
    id: service.id,
    name: service.spec.name,
    reasons: [
      ...(isJobMode(service.spec.mode)
        ? jobReasons(service, tasks, env)
        : countReasons(service, tasks)),
      ...unassigned(view, service, tasks),
      ...updateReasons(view, service, tasks, env),
      ...rebalancing(service, env),
      ...autoscaling(service, env),
      ...failures(view, tasks, env),
    ],
    tasks: odd.slice(0, maxTasks).map((task) => explainTask(view, task, env)),
    moreTasks: Math.max(0, odd.length - maxTasks),
  };
}

/** Wanted and not running, or told to stop and not yet stopped. */
function oddTasks(tasks: readonly Task[]): Task[] {
  return tasks
    .filter((task) =>
      isActive(task)
        ? task.status.state !== 'running' || task.desiredState === 'ready'
        : !isTerminal(task.status.state),
    )
    .toSorted((a, b) => a.slot - b.slot || a.meta.createdAtMs - b.meta.createdAtMs);
}

function countReasons({ spec }: Service, tasks: readonly Task[]): Reason[] {
  const up = tasks.filter((task) => wanted(task) && task.status.state === 'running').length;
  const replicas = spec.mode.replicated?.replicas;
  if (replicas === undefined) {
    return [about('state', `${plural(up, 'task')} of ${tasks.filter(wanted).length} wanted run`)];
  }
  return [about('state', `${up} of ${plural(replicas, 'replica')} run`)];
}

/** What the service itself lacks, so that none of its tasks can be placed. */
function unassigned(view: StoreView, service: Service, tasks: readonly Task[]): Reason[] {
  const waiting = tasks.filter((task) => wanted(task) && task.nodeId === '');
  const texts = new Set(waiting.flatMap(({ status }) => status.err ?? []));
  if (service.spec.mode.global !== undefined && tasks.filter(wanted).length === 0) {
    texts.add(
      [...view.nodes()].length === 0
        ? 'the swarm has no nodes'
        : 'no node fits: see its constraints, and availability in `node ls`',
    );
  }
  return [...texts].map((text) => about('wait', text));
}

function updateReasons(
  view: StoreView,
  service: Service,
  tasks: readonly Task[],
  { nowMs }: { readonly nowMs: number },
): Reason[] {
  const { updateStatus } = service;
  if (updateStatus === undefined) return [];
  const isOld = dirtiness(view, service);
  const present = tasks.filter(wanted);
  const old = present.filter(isOld);
  const fresh = present.filter((task) => !isOld(task) && task.status.state === 'running');
  const { state, message, startedAtMs, completedAtMs } = updateStatus;
  if (completedAtMs !== undefined) {
    return [about('update', `${message}, ${lasting(nowMs - completedAtMs)} ago`)];
  }
  const how = state.startsWith('rollback') ? 'rollback' : 'update';
  const counted = `${fresh.length} of the new spec run, ${old.length} of the old are left`;
  if (state.endsWith('paused')) {
    const next =
      how === 'update'
        ? '`service update` with a spec that works goes on, `service rollback` goes back'
        : '`service update` with a spec that works goes on';
    return [
      about('update', message),
      about('update', `${counted}; nothing goes on by itself: ${next}`),
    ];
  }
  const config = how === 'update' ? service.spec.updateConfig : service.spec.rollbackConfig;
  const since = lasting(nowMs - startedAtMs);
  return [about('update', `${message} for ${since}: ${counted}; ${policyOf(config)}`)];
}

function rebalancing({ rebalance }: Service, { nowMs }: { readonly nowMs: number }): Reason[] {
  if (rebalance === undefined) return [];
  const { state, startedAtMs, message } = rebalance;
  const since = lasting(nowMs - startedAtMs);
  const text =
    state === 'moving'
      ? `its tasks are being spread anew for ${since}`
      : `spreading its tasks anew was given up: ${message}; \`service rebalance\` tries again`;
  return [about('place', text)];
}

function autoscaling({ spec, autoscale }: Service, { nowMs }: { readonly nowMs: number }) {
  const settings = autoscaleOf(spec);
  if (settings === undefined) return [];
  const { min, max } = settings;
  const { state = 'steady', message = '', scaled } = autoscale ?? {};
  const last =
    scaled === undefined
      ? 'not scaled yet'
      : `last ${scaledText(scaled)}, ${lasting(nowMs - scaled.atMs)} ago`;
  const text = `autoscaled from ${min} to ${max} (${spec.labels[autoscaleLabel]}); ${last}`;
  const trouble = message === '' ? [] : [about('wait', `autoscaling is ${state}: ${message}`)];
  return [about('state', text), ...trouble];
}

function policyOf(config: UpdateConfig | undefined): string {
  const parallelism = config?.parallelism ?? 1;
  const atOnce = parallelism === 0 ? 'all at once' : `${plural(parallelism, 'task')} at a time`;
  const delayMs = config?.delayMs ?? 0;
  const delay = delayMs === 0 ? '' : `, ${lasting(delayMs)} between them`;
  return `${atOnce}${delay}, ${config?.order ?? 'stop-first'}`;
}

/** The last failures, each reason once. */
function failures(
  view: StoreView,
  tasks: readonly Task[],
  { nowMs }: { readonly nowMs: number },
): Reason[] {
  const failed = tasks
    .filter(({ status }) => status.state === 'failed' || status.state === 'rejected')
    .toSorted((a, b) => b.status.atMs - a.status.atMs);
  const byReason = Map.groupBy(failed, endOf);
  return [...byReason].slice(0, 5).map(([why, list]) => {
    const [last] = list;
    const where = [...new Set(list.map(({ nodeId }) => nodeName(view, nodeId)))].toSorted();
    const ago = lasting(nowMs - (last?.status.atMs ?? nowMs));
    const often = list.length === 1 ? 'once' : `${list.length} times`;
    return about('restart', `${why}: ${often} on ${where.join(', ')}, last ${ago} ago`);
  });
}
