import { AssignmentChange_Action } from '../../gen/dispatcher_pb.js';
import {
  fileReferencesOf,
  isTerminal,
  type AssignedFile,
  type FileKind,
  type Task,
} from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import { encodeJson } from './wire.ts';

export interface FileChange {
  readonly action: AssignmentChange_Action;
  readonly type: FileKind;
  readonly id: string;
  readonly object?: Uint8Array;
}

/** What one set of assignments carries of contents; the rest comes with the next ones. */
const setBytesMax = 2 * 1024 * 1024;

interface Need {
  readonly kind: FileKind;
  /** Tasks of the node that need it. */
  readonly taskIds: Set<string>;
}

/**
 * The secrets and configs that one node has: those that its tasks need that have not ended, and no
 * other. A content never changes, so that it is told once.
 */
export class FileFeed {
  readonly #view: Pick<StoreView, 'file'>;
  readonly #needs = new Map<string, Need>();
  readonly #idsOf = new Map<string, readonly string[]>();
  readonly #told = new Set<string>();
  readonly #toTell = new Set<string>();
  readonly #toTakeBack = new Map<string, FileKind>();

  constructor(view: Pick<StoreView, 'file'>) {
    this.#view = view;
  }

  get dirty(): boolean {
    return this.#toTell.size > 0 || this.#toTakeBack.size > 0;
  }

  /** The node knows nothing. */
  clear(): void {
    const sets = [this.#needs, this.#idsOf, this.#told, this.#toTell, this.#toTakeBack];
    for (const one of sets) one.clear();
  }

  /** The node is told of the task in this form. */
  put(task: Task): void {
    this.remove(task.id);
    if (isTerminal(task.status.state)) return;
    const references = fileReferencesOf(task.spec);
    if (references.length === 0) return;
    for (const { kind, id } of references) {
      const need = this.#needs.get(id);
      if (need === undefined) this.#needs.set(id, { kind, taskIds: new Set([task.id]) });
      else need.taskIds.add(task.id);
      this.#toTakeBack.delete(id);
      if (!this.#told.has(id)) this.#toTell.add(id);
    }
    this.#idsOf.set(
      task.id,
      references.map(({ id }) => id),
    );
  }

  /** The node is to forget the task. */
  remove(taskId: string): void {
    for (const id of this.#idsOf.get(taskId) ?? []) {
      const need = this.#needs.get(id);
      need?.taskIds.delete(taskId);
      if (need === undefined || need.taskIds.size > 0) continue;
      this.#needs.delete(id);
      this.#toTell.delete(id);
      if (this.#told.has(id)) this.#toTakeBack.set(id, need.kind);
    }
    this.#idsOf.delete(taskId);
  }

  /** What the node has to learn, and to give back; some of it where it is much. */
  changes(): FileChange[] {
    const changes: FileChange[] = [];
    for (const [id, type] of this.#toTakeBack) {
      this.#told.delete(id);
      changes.push({ action: AssignmentChange_Action.REMOVE, type, id });
    }
    this.#toTakeBack.clear();
    let bytes = 0;
    for (const id of this.#toTell) {
      if (bytes > setBytesMax) break;
      this.#toTell.delete(id);
      const type = this.#needs.get(id)?.kind;
      if (type === undefined) continue;
      this.#told.add(id);
      const object = encodeJson(this.#assigned(type, id));
      bytes += object.length;
      changes.push({ action: AssignmentChange_Action.UPDATE, type, id, object });
    }
    return changes;
  }

  /** One that is there no more is told of as well: the tasks that wait for it are to fail. */
  #assigned(kind: FileKind, id: string): AssignedFile {
    const spec = this.#view.file(kind, id)?.spec;
    if (spec === undefined) return { id };
    return {
      id,
      data: spec.data ?? '',
      ...(spec.templating === undefined ? {} : { isTemplate: true }),
    };
  }
}

/** The task needs its secrets and configs no more, though nobody told it to stop. */
export function endsFileUse(old: Task | undefined, task: Task): boolean {
  if (old === undefined || !isTerminal(task.status.state)) return false;
  return !isTerminal(old.status.state) && fileReferencesOf(task.spec).length > 0;
}
