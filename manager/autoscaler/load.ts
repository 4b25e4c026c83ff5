/** What is measured, in replicas' worth: 2.4 where two replicas carry 120% of their target each. */
import type { AutoscaleTarget, ReplicaMetric, Service, Task } from '../../types/index.ts';

/** What one replica uses, as far as it is known. */
export interface Sample extends Readonly<Partial<Record<ReplicaMetric, number>>> {
  /** Why its requests are not known. */
  readonly problem?: string;
}

/** What a Prometheus server said: a value of the whole service, or why there is none. */
export type QueryAnswer = { readonly value: number } | { readonly problem: string };

export interface Readings {
  /** Undefined where nothing is known of the task, or nothing fresh. */
  sample(task: Task): Sample | undefined;
  /** Undefined before the first answer. */
  query: QueryAnswer | undefined;
}

export interface Load {
  /** Of those replicas that are known, in targets. */
  readonly sum: number;
  /** How many replicas it is not known of what they carry. */
  readonly unknown: number;
  /** Where it came from: `cpu at 140% (target 60%)`. */
  readonly text: string;
  /** What is wrong with some of those that are not known, where somebody said so. */
  readonly doubt?: string;
}

/** Without a load: why nothing is known. */
export type Measured = Load | { readonly missing: string };

/** `warm`: tasks that run long enough to say what they carry. */
export function measure(
  service: Service,
  target: AutoscaleTarget,
  warm: readonly Task[],
  readings: Readings,
): Measured {
  const replicas = service.spec.mode.replicated?.replicas ?? 1;
  if (target.metric === 'prometheus') return asked(target.target, replicas, readings.query);
  const { metric } = target;
  const basis = basisOf(service, metric);
  const problems: string[] = [];
  const parts = warm.flatMap((task) => {
    const { [metric]: value, problem } = readings.sample(task) ?? {};
    if (value !== undefined) return [value / basis];
    if (metric === 'requests' && problem !== undefined) {
      problems.push(`${task.serviceName}.${task.slot}: ${problem}`);
    }
    return [];
  });
  const [problem] = problems;
  const why = problem === undefined ? '' : `, as of ${problem}`;
  if (parts.length === 0) return { missing: `${metric} ${areKnown(metric)} of any replica${why}` };
  const used = parts.reduce((sum, part) => sum + part, 0);
  const mean = used / parts.length;
  return {
    sum: used / target.target,
    unknown: Math.max(0, replicas - parts.length),
    text: `${metric} at ${shown(metric, mean)} (target ${shown(metric, target.target)})`,
    ...(problem === undefined
      ? {}
      : {
          doubt: `${metric} ${areKnown(metric)} of ${problems.length} of ${replicas} replicas${why}`,
        }),
  };
}

function areKnown(metric: ReplicaMetric): string {
  return metric.endsWith('s') ? 'are not known' : 'is not known';
}

function asked(target: number, replicas: number, answer: QueryAnswer | undefined): Measured {
  if (answer === undefined) return { missing: 'the Prometheus server has not answered yet' };
  if ('problem' in answer) return { missing: answer.problem };
  const { value } = answer;
  const each = replicas === 0 ? 'with no replica' : `${rounded(value / replicas)} for each replica`;
  return {
    sum: Math.max(0, value) / target,
    unknown: 0,
    text: `query at ${rounded(value)}, ${each} (target ${rounded(target)})`,
  };
}

/** What is reserved for a replica, else what limits it, else a core: 100% of it. */
function basisOf({ spec }: Service, metric: ReplicaMetric): number {
  const { reservations, limits } = spec.task.resources ?? {};
  if (metric === 'memory') return reservations?.memoryBytes || limits?.memoryBytes || Infinity;
  if (metric === 'cpu') return (reservations?.nanoCpus || limits?.nanoCpus || 1e9) / 1e9;
  return 1;
}

function shown(metric: ReplicaMetric, value: number): string {
  if (metric === 'cpu' || metric === 'memory') return `${Math.round(value * 100)}%`;
  return metric === 'connections' ? rounded(value) : `${rounded(value)}/s`;
}

function rounded(value: number): string {
  return String(Math.abs(value) < 100 ? Math.round(value * 10) / 10 : Math.round(value));
}
