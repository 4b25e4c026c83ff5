/** What the history says: its records in words, and the present rewound to a moment. */
import { unreachable } from '../../lib/assert.ts';
import { SwarmError } from '../../lib/errors.ts';
import { fieldChanges } from '../preview/fields.ts';
import type { StoreView } from '../store/view.ts';
import {
  isTerminal,
  isWanted,
  scaledText,
  serviceSpec,
  type HistoryAnswer,
  type HistoryRecord,
  type PastMoment,
  type ServiceMode,
} from '../../types/index.ts';
import {
  pastNode,
  pastService,
  pastTask,
  type History,
  type PastNode,
  type PastService,
  type PastTask,
  type Record,
} from './history.ts';
import { changeText, tellSwarm, tellVolume, type Told } from './settings.ts';

export interface HistoryQuestion {
  /** Tells how things stood then; records are those up to then. */
  readonly atMs?: number;
  /** Id or name, also of one that is gone. */
  readonly service?: string;
  /** At most so many records, the newest. */
  readonly limit: number;
}

/** Throws `invalid-argument` for a moment before what is remembered. */
export function tellHistory(
  history: History,
  view: StoreView,
  question: HistoryQuestion,
  nowMs: number,
): HistoryAnswer {
  const sinceMs = history.sinceMs ?? nowMs;
  const { atMs, service, limit } = question;
  if (atMs !== undefined && atMs < sinceMs) {
    throw new SwarmError(
      'invalid-argument',
      `this manager remembers what was since ${timeText(sinceMs)}; ask for a later moment, or ` +
        'another manager',
    );
  }
  const past = new Past(view);
  const all = history.records;
  // Entries are in order, clocks of several leaders need not be: the order of the log decides.
  const end = atMs === undefined ? all.length : all.findLastIndex((one) => one.atMs <= atMs) + 1;
  for (const record of all.slice(end).toReversed()) past.undo(record);
  const names = past.allNodes(all);
  const told = all
    .slice(0, end)
    .filter((record) => service === undefined || isOf(record, service))
    .flatMap((record) => tellRecord(record, names) ?? []);
  return {
    since: timeText(sinceMs),
    records: told.slice(-limit),
    more: Math.max(0, told.length - limit),
    ...(atMs === undefined ? {} : { moment: past.moment(atMs, service) }),
  };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function isOf(record: Record, service: string): boolean {
  if (record.kind !== 'service' && record.kind !== 'task') return false;
  const about = record.after ?? record.before;
  if (about === undefined) return false;
  if ('spec' in about) return about.id === service || about.spec.name === service;
  return about.serviceId === service || about.serviceName === service;
}

/** The tables as far as they are told of, which go back one record after the other. */
class Past {
  readonly #services = new Map<string, PastService>();
  readonly #tasks = new Map<string, PastTask>();
  readonly #nodes = new Map<string, PastNode>();

  constructor(view: StoreView) {
    for (const service of view.services()) this.#services.set(service.id, pastService(service));
    for (const task of view.tasks()) this.#tasks.set(task.id, pastTask(task));
    for (const node of view.nodes()) this.#nodes.set(node.id, pastNode(node));
  }

  undo(record: Record): void {
    if (record.kind === 'service') back(this.#services, record);
    else if (record.kind === 'task') back(this.#tasks, record);
    else if (record.kind === 'node') back(this.#nodes, record);
  }

  /** The hostnames of nodes, also of those that are gone. */
  allNodes(records: readonly Record[]): ReadonlyMap<string, string> {
    const names = new Map([...this.#nodes].map(([id, { hostname }]) => [id, hostname]));
    for (const record of records) {
      const node = record.kind === 'node' ? (record.after ?? record.before) : undefined;
      if (node !== undefined) names.set(node.id, node.hostname);
    }
    return names;
  }

  moment(atMs: number, only: string | undefined): PastMoment {
    const byService = Map.groupBy(this.#tasks.values(), ({ serviceId }) => serviceId);
    const services = [...this.#services.values()]
      .filter(({ id, spec }) => only === undefined || id === only || spec.name === only)
      .toSorted((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
    return {
      time: timeText(atMs),
      services: services.map((service) => this.#service(service, byService.get(service.id) ?? [])),
      nodes: [...this.#nodes.values()].map(({ hostname, state, availability }) => {
        return { hostname, state, availability };
      }),
    };
  }

  #service({ spec, updateStatus }: PastService, tasks: readonly PastTask[]) {
    const wanted = tasks
      .filter(({ desiredState }) => isWanted(desiredState))
      .toSorted((a, b) => a.slot - b.slot || (a.id < b.id ? -1 : 1));
    const names = new Map([...this.#nodes].map(([id, { hostname }]) => [id, hostname]));
    return {
      name: spec.name,
      image: spec.task.container?.image ?? '',
      mode: modeText(spec.mode),
      update: updateStatus?.message ?? '',
      running: wanted.filter(({ state }) => state === 'running').length,
      tasks: wanted.map((task) => ({
        name: nameOf(task, names),
        node: names.get(task.nodeId) ?? task.nodeId,
        state: task.state,
      })),
    };
  }
}

function back<T extends { readonly id: string }>(
  table: Map<string, T>,
  { before, after }: { readonly before?: T; readonly after?: T },
): void {
  if (before !== undefined) table.set(before.id, before);
  else if (after !== undefined) table.delete(after.id);
}

function modeText({ replicated, replicatedJob, globalJob }: ServiceMode): string {
  if (replicated !== undefined) return String(replicated.replicas ?? 1);
  if (replicatedJob !== undefined) return `job of ${replicatedJob.totalCompletions ?? 1}`;
  return globalJob === undefined ? 'global' : 'global job';
}

function nameOf(
  { serviceName, slot, forNodeId }: PastTask,
  nodes: ReadonlyMap<string, string>,
): string {
  return `${serviceName}.${forNodeId === undefined ? slot : (nodes.get(forNodeId) ?? forNodeId)}`;
}

/** Nothing for what is of no interest: that a task was made, that an old one was forgotten. */
function tellRecord(record: Record, nodes: ReadonlyMap<string, string>): HistoryRecord | undefined {
  const { atMs, index, kind, user } = record;
  const told = tell(record, nodes);
  if (told === undefined) return undefined;
  const whose = told.by === 'command' && user !== undefined ? { user } : {};
  return { time: timeText(atMs), index, kind, ...told, ...whose };
}

function tell(record: Record, nodes: ReadonlyMap<string, string>): Told | undefined {
  switch (record.kind) {
    case 'service':
      return tellService(record);
    case 'task':
      return tellTask(record, nodes);
    case 'node':
      return tellNode(record);
    case 'volume':
      return tellVolume(record);
    case 'swarm':
      return tellSwarm(record);
    default:
      return unreachable(record);
  }
}

function tellService({ before, after }: Record & { kind: 'service' }): Told | undefined {
  const name = (after ?? before)?.spec.name ?? '';
  if (after === undefined) return { name, by: 'command', text: 'removed' };
  if (before === undefined) {
    const image = after.spec.task.container?.image ?? '';
    const text = `created: image ${image}, ${modeText(after.spec.mode)}`;
    return { name, by: 'command', text };
  }
  const status = after.updateStatus;
  const scaling = tellScaling(before, after);
  if (scaling !== undefined) return { name, by: 'managers', text: scaling };
  if (before.spec === after.spec && before.specVersion === after.specVersion) {
    const isNew = status !== undefined && status.message !== before.updateStatus?.message;
    return isNew ? { name, by: 'managers', text: status.message } : undefined;
  }
  const changes = fieldChanges(serviceSpec.encode(before.spec), serviceSpec.encode(after.spec));
  const texts = changes.map(changeText);
  const what = texts.length === 0 ? 'the same spec again' : texts.join('; ');
  const isBack = status?.state === 'rollback_started';
  const byItself = isBack && status.message !== 'manually requested rollback';
  const how = isBack ? `rolled back (${status.message})` : 'updated';
  return { name, by: byItself ? 'managers' : 'command', text: `${how}: ${what}` };
}

/** What autoscaling has done, or is kept from; nothing where it is not about that. */
function tellScaling(before: PastService, after: PastService): string | undefined {
  const [was, is] = [before.autoscale, after.autoscale];
  if (is === undefined || before.specVersion !== after.specVersion) return undefined;
  if (is.scaled !== undefined && is.scaled.atMs !== was?.scaled?.atMs) return scaledText(is.scaled);
  const isNew = is.message !== (was?.message ?? '');
  if (!isNew) return undefined;
  return is.message === '' ? 'autoscaling goes on' : `autoscaling is ${is.state}: ${is.message}`;
}

function tellTask(
  { before, after }: Record & { kind: 'task' },
  nodes: ReadonlyMap<string, string>,
): Told | undefined {
  if (after === undefined) return undefined;
  const name = nameOf(after, nodes);
  const where = nodes.get(after.nodeId) ?? after.nodeId;
  if (after.state !== before?.state) {
    if (after.state === 'running') return { name, by: 'node', text: `runs on ${where}` };
    if (isTerminal(after.state)) {
      const why = after.err === undefined ? '' : `: ${after.err}`;
      return { name, by: 'node', text: `${after.state} on ${where}${why}` };
    }
  }
  if (after.nodeId !== '' && (before?.nodeId ?? '') === '') {
    return { name, by: 'managers', text: `placed on ${where}` };
  }
  const isStopped = before !== undefined && isWanted(before.desiredState);
  if (isStopped && !isWanted(after.desiredState) && !isTerminal(after.state)) {
    return { name, by: 'managers', text: `told to stop${where === '' ? '' : ` on ${where}`}` };
  }
  if (after.err === undefined || after.err === before?.err) return undefined;
  return { name, by: 'managers', text: `waits: ${after.err}` };
}

function tellNode({ before, after }: Record & { kind: 'node' }): Told | undefined {
  const name = (after ?? before)?.hostname ?? '';
  if (after === undefined) return { name, by: 'command', text: 'removed' };
  if (before === undefined) return { name, by: 'node', text: `joined as ${after.role}` };
  if (after.availability !== before.availability) {
    const text = `availability ${before.availability} → ${after.availability}`;
    return { name, by: 'command', text };
  }
  if (after.role !== before.role) {
    return { name, by: 'managers', text: `${before.role} → ${after.role}` };
  }
  if (after.state === before.state) return undefined;
  return { name, by: 'managers', text: `${before.state} → ${after.state}` };
}
