/** Which tasks hold which cluster volumes: computed from the tasks with every change. */
import { isTerminal, type Task } from '../../types/index.ts';
import { Groups } from './groups.ts';

export class VolumeUse {
  readonly #tasks = new Groups<Task>();

  tasks(volumeId: string): Iterable<Task> {
    return this.#tasks.of(volumeId)?.values() ?? [];
  }

  taskChanged(old: Task | undefined, next: Task | undefined): void {
    if (old?.volumes === undefined && next?.volumes === undefined) return;
    for (const id of heldBy(old)) if (old !== undefined) this.#tasks.delete(id, old.id);
    for (const id of heldBy(next)) if (next !== undefined) this.#tasks.set(id, next);
  }

  clear(): void {
    this.#tasks.clear();
  }

  audit(tasks: Iterable<Task>): string[] {
    const expected = new VolumeUse();
    for (const task of tasks) expected.taskChanged(undefined, task);
    const wanted = new Set(expected.#facts());
    return [...wanted.symmetricDifference(new Set(this.#facts()))].map(
      (fact) => `${fact}, and that is not indexed, or is and is not so`,
    );
  }

  *#facts(): Iterable<string> {
    for (const id of this.#tasks.keys()) {
      for (const taskId of this.#tasks.of(id)?.keys() ?? []) yield `task ${taskId} holds ${id}`;
    }
  }
}

/** From its assignment until it has ended: then nothing of it is mounted any more. */
function heldBy(task: Task | undefined): ReadonlySet<string> {
  if (task?.volumes === undefined || task.nodeId === '') return none;
  return isTerminal(task.status.state) ? none : new Set(task.volumes.map(({ id }) => id));
}

const none: ReadonlySet<string> = new Set();
