/** Two specs compared field by field, by the names of Docker's JSON. */
import type { FieldChange } from '../../types/index.ts';

/** In the order of the fields; an empty list, object or text is as one that is absent. */
export function fieldChanges(from: unknown, to: unknown, path = ''): FieldChange[] {
  if (isEmpty(from) && isEmpty(to)) return [];
  if (isObject(from) && isObject(to)) return eachKey(from, to, path);
  // Of the modes, one that is empty says something by being there.
  if (path.startsWith('Mode.') && isObject(to) && Object.keys(to).length === 0) {
    return [{ path, to: '{}' }];
  }
  if (isObject(to) && isEmpty(from)) return eachKey({}, to, path);
  if (isObject(from) && isEmpty(to)) return eachKey(from, {}, path);
  if (Array.isArray(from ?? []) && Array.isArray(to ?? [])) {
    return listChanges((from ?? []) as unknown[], (to ?? []) as unknown[], path);
  }
  const [before, after] = [text(from), text(to)];
  if (before === after) return [];
  return [
    {
      path,
      ...(before === undefined ? {} : { from: before }),
      ...(after === undefined ? {} : { to: after }),
    },
  ];
}

function eachKey(
  from: Readonly<Record<string, unknown>>,
  to: Readonly<Record<string, unknown>>,
  path: string,
): FieldChange[] {
  const keys = new Set([...Object.keys(from), ...Object.keys(to)]);
  return [...keys].flatMap((key) =>
    fieldChanges(from[key], to[key], path === '' ? key : `${path}.${key}`),
  );
}

/** Items that went and items that came; where all are the same, their order may differ. */
function listChanges(from: readonly unknown[], to: readonly unknown[], path: string) {
  const before = from.map((item) => JSON.stringify(item));
  const after = to.map((item) => JSON.stringify(item));
  const gone = without(before, after).map((item): FieldChange => ({
    path: `${path}[]`,
    from: item,
  }));
  const come = without(after, before).map((item): FieldChange => ({ path: `${path}[]`, to: item }));
  if (gone.length + come.length > 0) return [...gone, ...come];
  if (before.join() === after.join()) return [];
  return [{ path, from: `[${before.join(',')}]`, to: `[${after.join(',')}]` }];
}

/** The items of `all` that are not in `others`, each as often as it is more than there. */
function without(all: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return all.filter((item) => {
    const at = left.indexOf(item);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function text(value: unknown): string | undefined {
  return isEmpty(value) ? undefined : JSON.stringify(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return Array.isArray(value) && value.length === 0;
}
