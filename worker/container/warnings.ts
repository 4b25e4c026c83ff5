/** What people are told of a container that is made nevertheless. */
import type { ContainerRecord } from './view.ts';

export function warningsOf({ host }: ContainerRecord): readonly string[] {
  const ports = Object.keys(host.portBindings ?? {}).length > 0;
  return ports && host.networkMode === 'host'
    ? ['Published ports are discarded when using host network mode']
    : [];
}
