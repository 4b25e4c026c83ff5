/** Commands on secrets and configs, as plans on the present state. */
import { SwarmError } from '../../lib/errors.ts';
import {
  cronOf,
  isJobMode,
  type ContainerSpec,
  type FileKind,
  type FileObject,
  type FileSpec,
  type ServiceSpec,
} from '../../types/index.ts';
import { updatedService } from './service-commands.ts';
import type { RevisedFile } from './api.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';

export function planNewFile(
  view: StoreView,
  kind: FileKind,
  { id, spec, nowMs }: { readonly id: string; readonly spec: FileSpec; readonly nowMs: number },
): Change[] {
  if (view.revisions(kind, spec.name).length > 0) {
    throw new SwarmError('already-exists', `${kind} ${spec.name} already exists`);
  }
  const meta = { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs };
  const object: FileObject = { id, meta, spec, revision: 1 };
  return [{ op: 'put', table: kind, object, base: 0 }];
}

/** Docker's update: of labels, and of nothing else. */
export function planRelabelledFile(
  view: StoreView,
  kind: FileKind,
  args: { readonly id: string; readonly version: number; readonly spec: FileSpec },
): Change[] {
  const present = presentFile(view, kind, args.id);
  const { name, data, driver, labels } = args.spec;
  const same = data === undefined || data === present.spec.data;
  if (name !== present.spec.name || driver !== undefined || !same) {
    throw new SwarmError('invalid-argument', 'only updates to Labels are allowed');
  }
  if (args.version !== present.meta.version) {
    throw new SwarmError('aborted', 'update out of sequence');
  }
  const object: FileObject = { ...present, spec: { ...present.spec, labels } };
  return [{ op: 'put', table: kind, object, base: present.meta.version }];
}

/**
 * Another content behind the same name: a new revision, which the services that use the name are
 * updated to, each by its own policy. What they had stays for as long as they may go back to it.
 * The content that is there already makes no new revision, but brings services up to it.
 */
export function planRevisedFile(
  view: StoreView,
  kind: FileKind,
  args: { readonly id: string; readonly newId: string; readonly data: string },
  nowMs: number,
): { readonly changes: Change[]; readonly revised: RevisedFile } {
  const { name } = presentFile(view, kind, args.id).spec;
  const revisions = view.revisions(kind, name);
  const current = revisions.at(-1) as FileObject;
  const isNew = current.spec.data !== args.data;
  const object: FileObject = isNew
    ? {
        id: args.newId,
        meta: { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs },
        spec: { ...current.spec, data: args.data },
        revision: current.revision + 1,
      }
    : current;
  const older = new Set(revisions.map(({ id }) => id).filter((id) => id !== object.id));
  const users = new Map(
    [...older].flatMap((id) => [...view.servicesOfFile(id)].map((one) => [one.id, one])),
  );
  const services = [...users.values()]
    .filter(({ spec }) => !runsOnce(spec))
    .sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  const changes = services.map((service): Change => {
    const spec = withRevision(service.spec, kind, older, object.id);
    const next = updatedService(service, spec, { nowMs });
    return { op: 'put', table: 'service', object: next, base: service.meta.version };
  });
  const unused = revisions.filter(({ id }) => older.has(id) && !view.isFileUsed(id));
  const deletions = unused.map(({ id, meta }): Change => {
    return { op: 'delete', table: kind, id, base: meta.version };
  });
  return {
    changes: [
      ...(isNew ? [{ op: 'put', table: kind, object, base: 0 } as const] : []),
      ...changes,
      ...deletions,
    ],
    revised: {
      id: object.id,
      revision: object.revision,
      services: services.map(({ id, spec }) => ({ id, name: spec.name })),
    },
  };
}

/** Another spec would have the job done once more: it keeps the content that it was begun with. */
function runsOnce(spec: ServiceSpec): boolean {
  return isJobMode(spec.mode) && cronOf(spec) === undefined;
}

function withRevision(
  spec: ServiceSpec,
  kind: FileKind,
  older: ReadonlySet<string>,
  id: string,
): ServiceSpec {
  const { container } = spec.task;
  if (container === undefined) return spec;
  const moved: ContainerSpec =
    kind === 'secret'
      ? {
          ...container,
          secrets: (container.secrets ?? []).map((one) =>
            older.has(one.secretId) ? { ...one, secretId: id } : one,
          ),
        }
      : {
          ...container,
          configs: (container.configs ?? []).map((one) =>
            older.has(one.configId) ? { ...one, configId: id } : one,
          ),
        };
  return { ...spec, task: { ...spec.task, container: moved } };
}

/** All revisions go with the name. Tasks that run already keep what they have. */
export function planRemovedFile(view: StoreView, kind: FileKind, id: string): Change[] {
  const { name } = presentFile(view, kind, id).spec;
  const revisions = view.revisions(kind, name);
  const users = new Set(revisions.flatMap((one) => [...view.servicesOfFile(one.id)]));
  if (users.size > 0) {
    const names = [...users].map(({ spec }) => spec.name).sort();
    throw new SwarmError(
      'invalid-argument',
      `${kind} '${name}' is in use by the following service${names.length > 1 ? 's' : ''}: ` +
        names.join(', '),
    );
  }
  return revisions.map((one): Change => {
    return { op: 'delete', table: kind, id: one.id, base: one.meta.version };
  });
}

function presentFile(view: StoreView, kind: FileKind, id: string): FileObject {
  const file = view.file(kind, id);
  if (file === undefined) throw new SwarmError('not-found', `${kind} ${id} not found`);
  return file;
}
