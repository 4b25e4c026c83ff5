/** Commands on secrets and configs, as plans on the present state. */
import { SwarmError } from '../../lib/errors.ts';
import { type FileKind, type FileObject, type FileSpec } from '../../types/index.ts';
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
