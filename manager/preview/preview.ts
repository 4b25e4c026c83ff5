/** What changes of services would do: asked as the API does, answered without doing them. */
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import {
  changedService,
  checkedSpec,
  newService,
  rebalancedService,
} from '../control/service-commands.ts';
import { wanted } from '../orchestrator/index.ts';
import type { Change } from '../store/change.ts';
import type { Fork } from '../store/fork.ts';
import type { StoreView } from '../store/view.ts';
import {
  serviceSpec,
  type FieldChange,
  type Preview as PreviewAnswer,
  type PreviewChange,
  type Service,
  type ServicePreview,
  type ServiceSpec,
  type Task,
} from '../../types/index.ts';
import { fieldChanges } from './fields.ts';
import { Rehearsal } from './rehearsal.ts';
import { placeOf, taskChanges } from './tasks.ts';

export interface PreviewEnv {
  readonly nowMs: number;
  readonly random: Random;
}

/** With more tasks than these, as many are updated at a time as bring it to that many rounds. */
const maxRounds = 50;

interface Subject {
  readonly id: string;
  readonly name: string;
  readonly action: ServicePreview['action'];
  readonly fields: readonly FieldChange[];
  readonly notes: string[];
  /** Going back is what was asked for. */
  readonly isRollback: boolean;
  /** The service's wanted tasks before the change. */
  readonly before: readonly Task[];
}

/**
 * Made of a copy of the tables, which it changes. Call `step` until it returns false, with other
 * work between the calls where that waits, and then `answer`.
 */
export class Preview {
  readonly #fork: Fork;
  readonly #env: PreviewEnv;
  readonly #subjects = new Map<string, Subject>();
  readonly #others: ReadonlyMap<string, readonly Task[]>;
  readonly #rehearsal: Rehearsal;

  /** Throws as the commands would: for a bad spec, a taken name or port, a missing service. */
  constructor(fork: Fork, changes: readonly PreviewChange[], env: PreviewEnv) {
    this.#fork = fork;
    this.#env = env;
    for (const change of changes) this.#make(change);
    const waiting = [...fork.view.unassignedTasks()].filter(
      (task) => wanted(task) && !this.#subjects.has(task.serviceId),
    );
    this.#others = Map.groupBy(waiting, ({ serviceId }) => serviceId);
    const changed = [...this.#subjects.values()].filter(({ action }) => action !== 'none');
    this.#rehearsal = new Rehearsal(fork, new Set(changed.map(({ id }) => id)), env);
  }

  /** Returns whether there is more to do. */
  step(): boolean {
    const isAnything = [...this.#subjects.values()].some(({ action }) => action !== 'none');
    return isAnything && this.#rehearsal.step();
  }

  answer(): PreviewAnswer {
    const { view } = this.#fork;
    const services = [...this.#subjects.values()].map((subject) => this.#result(subject));
    const others = [...this.#others].flatMap(([id, before]) => {
      const after = before.flatMap((task) => view.task(task.id) ?? []);
      const tasks = taskChanges(view, before, after).filter(({ change }) => change !== 'wait');
      if (tasks.length === 0) return [];
      const name = view.service(id)?.spec.name ?? id;
      return [{ name, action: 'none' as const, fields: [], tasks, unchangedTasks: 0, notes: [] }];
    });
    return { changes: services.some(({ action }) => action !== 'none'), services, others };
  }

  #make(change: PreviewChange): void {
    const { view } = this.#fork;
    if (change.action === 'create') {
      const id = this.#env.random.id();
      const checked = checkedSpec(required(change.spec), this.#env.random);
      const service = newService(view, checked, { id, nowMs: this.#env.nowMs });
      this.#commit([{ op: 'put', table: 'service', object: service, base: 0 }]);
      this.#note(service, 'create', fieldChanges({}, shown(service.spec)));
      return;
    }
    const present = serviceNamed(view, change.service ?? '');
    if (change.action === 'remove') {
      this.#note(present, 'remove', []);
      const base = this.#current(present).meta.version;
      this.#commit([{ op: 'delete', table: 'service', id: present.id, base }]);
      return;
    }
    if (change.action === 'rebalance') {
      this.#note(present, 'rebalance', []);
      const object = rebalancedService(present, this.#env.nowMs);
      this.#commit([{ op: 'put', table: 'service', object, base: present.meta.version }]);
      return;
    }
    const checked =
      change.rollback === true ? undefined : checkedSpec(required(change.spec), this.#env.random);
    const next = changedService(view, present, checked, { nowMs: this.#env.nowMs });
    const fields = fieldChanges(shown(present.spec), shown(next.spec));
    const action = fields.length === 0 ? 'none' : 'update';
    this.#note(next, action, fields, change.rollback === true);
    if (fields.length === 0) return;
    this.#commit([
      { op: 'put', table: 'service', object: this.#sped(next), base: present.meta.version },
    ]);
  }

  #current(service: Service): Service {
    return this.#fork.view.service(service.id) ?? service;
  }

  #commit(changes: readonly Change[]): void {
    const conflict = this.#fork.apply(changes, { atMs: this.#env.nowMs });
    if (conflict !== undefined) throw new SwarmError('already-exists', conflict);
  }

  /** Of several changes of a service the whole is told. */
  #note(
    { id, spec }: Service,
    action: ServicePreview['action'],
    fields: readonly FieldChange[],
    isRollback = false,
  ): void {
    const known = this.#subjects.get(id);
    const before = [...this.#fork.view.tasksOfService(id)].filter(wanted);
    this.#subjects.set(id, {
      id,
      name: spec.name,
      action: known?.action === 'create' && action !== 'remove' ? 'create' : action,
      fields: [...(known?.fields ?? []), ...fields],
      notes: known?.notes ?? [],
      isRollback,
      before: known?.before ?? before,
    });
  }

  /** A long row of small steps ends where a shorter one of larger steps does. */
  #sped(service: Service): Service {
    const tasks = [...this.#fork.view.tasksOfService(service.id)].filter(wanted).length;
    const { updateConfig, ...rest } = service.spec;
    const parallelism = updateConfig?.parallelism ?? 1;
    const atOnce = Math.ceil(tasks / maxRounds);
    if (parallelism === 0 || parallelism >= atOnce) return service;
    this.#subjects
      .get(service.id)
      ?.notes.push(
        `rehearsed with ${atOnce} tasks updated at a time in place of ${parallelism}: ` +
          'places may differ a little',
      );
    const faster = { maxFailureRatio: 0, ...updateConfig, parallelism: atOnce };
    return { ...service, spec: { ...rest, updateConfig: faster } };
  }

  #result(subject: Subject): ServicePreview {
    const { view } = this.#fork;
    const after = [...view.tasksOfService(subject.id)].filter(wanted);
    const tasks = taskChanges(view, subject.before, after);
    const changed = tasks.filter(({ change }) => change !== 'stop').length;
    const status = view.service(subject.id)?.updateStatus;
    const isStuck = status !== undefined && !status.state.endsWith('completed');
    const notes = [...subject.notes];
    if (isStuck && subject.action === 'update') notes.push(`it would end there: ${status.message}`);
    if (status?.state === 'rollback_completed' && !subject.isRollback) {
      notes.push('it would be rolled back');
    }
    if (this.#rehearsal.isCutShort) {
      notes.push('the rollout is longer than what is rehearsed: what follows is left out');
    }
    const isIdle = subject.action === 'rebalance' && tasks.length === 0;
    return {
      name: subject.name,
      action: isIdle ? 'none' : subject.action,
      fields: subject.fields,
      tasks,
      unchangedTasks: new Set(after.map(placeOf)).size - changed,
      notes,
    };
  }
}

function serviceNamed(view: StoreView, reference: string): Service {
  const found = view.service(reference) ?? view.serviceByName(reference);
  if (found !== undefined) return found;
  const begun =
    reference === '' ? [] : [...view.services()].filter(({ id }) => id.startsWith(reference));
  if (begun.length === 1) return begun[0]!;
  throw new SwarmError('not-found', `service ${reference} not found`);
}

function required(spec: ServiceSpec | undefined): ServiceSpec {
  if (spec !== undefined) return spec;
  throw new SwarmError('invalid-argument', 'a change that creates or updates needs a Spec');
}

function shown(spec: ServiceSpec): unknown {
  return serviceSpec.encode(spec);
}
