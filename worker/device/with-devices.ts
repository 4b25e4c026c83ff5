/** A container with what it needs to use the devices that it was given. */
import type { ContainerConfig } from '../runtime/runtime.ts';
import type { CdiEdits } from './cdi.ts';

type Equipped = Pick<ContainerConfig, 'env' | 'mounts' | 'groups' | 'more'>;

export function withDevices<C extends Equipped>(container: C, edits: CdiEdits): C {
  const { devices, env, mounts, hooks, groups } = edits;
  const byName = Map.groupBy(hooks, ({ hookName }) => hookName);
  const more = {
    ...container.more,
    ...(devices.length === 0 ? {} : { devices: [...(container.more?.devices ?? []), ...devices] }),
    ...(hooks.length === 0
      ? {}
      : {
          hooks: Object.fromEntries(
            [...byName].map(([name, all]) => [name, all.map(({ hookName: _, ...hook }) => hook)]),
          ),
        }),
  };
  return {
    ...container,
    env: merged(container.env, env),
    mounts: [...container.mounts, ...mounts],
    groups: [...container.groups, ...groups],
    ...(Object.keys(more).length === 0 ? {} : { more }),
  };
}

/** Those of the devices win: a container must not see another's by a variable of its image. */
function merged(own: readonly string[], given: readonly string[]): readonly string[] {
  const nameOf = (entry: string) => entry.split('=', 1)[0] ?? '';
  const names = new Set(given.map(nameOf));
  return [...own.filter((entry) => !names.has(nameOf(entry))), ...given];
}
