/**
 * The revisions of secrets and configs by name, and who needs which: computed from the objects with
 * every change.
 */
import {
  fileReferencesOf,
  isTerminal,
  type FileKind,
  type FileObject,
  type Service,
  type Task,
  type TaskSpec,
} from '../../types/index.ts';
import { Groups } from './groups.ts';
import type { Rows } from './rows.ts';

const nothing: readonly FileObject[] = [];

export class FileUse {
  readonly #revisions = {
    secret: new Map<string, readonly FileObject[]>(),
    config: new Map<string, readonly FileObject[]>(),
  };
  /** Names that have several revisions. */
  readonly #edited = { secret: new Set<string>(), config: new Set<string>() };
  /** Services by the ids of what their specs name. */
  readonly #services = new Groups<Service>();
  /** How many previous specs and tasks that have not ended name it, by id. */
  readonly #holders = new Map<string, number>();

  /** The oldest first. */
  revisions(kind: FileKind, name: string): readonly FileObject[] {
    return this.#revisions[kind].get(name) ?? nothing;
  }

  /** What is no longer what its name stands for. */
  *superseded(kind: FileKind): Iterable<FileObject> {
    for (const name of this.#edited[kind]) yield* this.revisions(kind, name).slice(0, -1);
  }

  services(id: string): Iterable<Service> {
    return this.#services.of(id)?.values() ?? [];
  }

  isUsed(id: string): boolean {
    return this.#services.of(id) !== undefined || this.#holders.has(id);
  }

  fileChanged(kind: FileKind, old: FileObject | undefined, next: FileObject | undefined): void {
    const byName = this.#revisions[kind];
    if (old !== undefined) {
      const left = this.revisions(kind, old.spec.name).filter(({ id }) => id !== old.id);
      if (left.length === 0) byName.delete(old.spec.name);
      else byName.set(old.spec.name, left);
    }
    if (next !== undefined) {
      const all = [...this.revisions(kind, next.spec.name), next];
      byName.set(
        next.spec.name,
        all.sort((a, b) => a.revision - b.revision),
      );
    }
    for (const object of [old, next]) {
      if (object === undefined) continue;
      const { name } = object.spec;
      if (this.revisions(kind, name).length > 1) this.#edited[kind].add(name);
      else this.#edited[kind].delete(name);
    }
  }

  serviceChanged(old: Service | undefined, next: Service | undefined): void {
    for (const id of idsOf(old?.spec.task))
      if (old !== undefined) this.#services.delete(id, old.id);
    for (const id of idsOf(next?.spec.task)) if (next !== undefined) this.#services.set(id, next);
    this.#count(idsOf(old?.previousSpec?.task), -1);
    this.#count(idsOf(next?.previousSpec?.task), 1);
  }

  taskChanged(old: Task | undefined, next: Task | undefined): void {
    const before = specOfLive(old);
    const after = specOfLive(next);
    if (before === after) return;
    this.#count(idsOf(before), -1);
    this.#count(idsOf(after), 1);
  }

  clear(): void {
    this.#revisions.secret.clear();
    this.#revisions.config.clear();
    this.#edited.secret.clear();
    this.#edited.config.clear();
    this.#services.clear();
    this.#holders.clear();
  }

  audit({ config, secret, service, task }: Rows): string[] {
    const expected = new FileUse();
    for (const one of secret.values()) expected.fileChanged('secret', undefined, one);
    for (const one of config.values()) expected.fileChanged('config', undefined, one);
    for (const one of service.values()) expected.serviceChanged(undefined, one);
    for (const one of task.values()) expected.taskChanged(undefined, one);
    const wanted = new Set(expected.#facts());
    const present = new Set(this.#facts());
    return [
      ...[...wanted.difference(present)].map((fact) => `${fact}, and that is not indexed`),
      ...[...present.difference(wanted)].map((fact) => `${fact} is indexed, and is not so`),
    ];
  }

  #count(ids: ReadonlySet<string>, by: number): void {
    for (const id of ids) {
      const count = (this.#holders.get(id) ?? 0) + by;
      if (count === 0) this.#holders.delete(id);
      else this.#holders.set(id, count);
    }
  }

  *#facts(): Iterable<string> {
    for (const kind of ['secret', 'config'] as const) {
      for (const [name, files] of this.#revisions[kind]) {
        yield `${kind} ${name} has the revisions ${files.map(({ id }) => id).join(' ')}`;
      }
    }
    for (const kind of ['secret', 'config'] as const) {
      for (const name of this.#edited[kind]) yield `${kind} ${name} has several revisions`;
    }
    for (const id of this.#services.keys()) {
      for (const serviceId of this.#services.of(id)?.keys() ?? []) {
        yield `service ${serviceId} uses ${id}`;
      }
    }
    for (const [id, count] of this.#holders) yield `${id} is held ${count} times`;
  }
}

function specOfLive(task: Task | undefined): TaskSpec | undefined {
  return task === undefined || isTerminal(task.status.state) ? undefined : task.spec;
}

const noIds: ReadonlySet<string> = new Set();

function idsOf(spec: TaskSpec | undefined): ReadonlySet<string> {
  const references = spec === undefined ? [] : fileReferencesOf(spec);
  return references.length === 0 ? noIds : new Set(references.map(({ id }) => id));
}
