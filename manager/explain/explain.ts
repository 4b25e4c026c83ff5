/** From what a user typed to its explanation: a service, or a task by id, name or slot. */
import { SwarmError } from '../../lib/errors.ts';
import type { StoreView } from '../store/view.ts';
import type { Explanation, Service, Task } from '../../types/index.ts';
import { explainService } from './service.ts';
import { explainTask } from './task.ts';
import { slotName } from './words.ts';

/**
 * A service is meant by its id or name; a task by its id, its whole name, or its slot (`web.3`,
 * `web.h1`), where the newest one is; anything else by the beginning of an id that no other has.
 * Throws `not-found`, or `invalid-argument` for a beginning that several have.
 */
export function explain(
  view: StoreView,
  reference: string,
  env: { readonly nowMs: number },
): Explanation {
  const service = view.service(reference) ?? view.serviceByName(reference);
  if (service !== undefined) return { service: explainService(view, service, env) };
  const task = view.task(reference) ?? taskNamed(view, reference);
  if (task !== undefined) return { task: explainTask(view, task, env) };
  const begun = begunWith(view, reference);
  if (begun.length > 1) {
    throw new SwarmError(
      'invalid-argument',
      `${reference} is ambiguous (${begun.length} matches found)`,
    );
  }
  const [only] = begun;
  if (only === undefined) {
    throw new SwarmError('not-found', `no such service or task: ${reference}`);
  }
  return 'serviceId' in only
    ? { task: explainTask(view, only, env) }
    : { service: explainService(view, only, env) };
}

function taskNamed(view: StoreView, reference: string): Task | undefined {
  const [serviceName = ''] = reference.split('.');
  const found = [...view.tasks()].filter(
    (task) =>
      task.serviceName === serviceName &&
      (task.name === reference || slotName(view, task) === reference),
  );
  return found.toSorted((a, b) => b.meta.createdAtMs - a.meta.createdAtMs)[0];
}

function begunWith(view: StoreView, reference: string): (Service | Task)[] {
  if (reference === '') return [];
  return [...view.services(), ...view.tasks()].filter(({ id }) => id.startsWith(reference));
}
