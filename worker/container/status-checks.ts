/** What cannot be done to a container as it is, refused in Docker's words. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerState } from './view.ts';

/** False: it has started already. Throws `aborted` for one that cannot be started. */
export function checkStartable(status: ContainerState['status']): boolean {
  if (status === 'running' || status === 'restarting') return false;
  if (status === 'paused') {
    throw new SwarmError('aborted', 'cannot start a paused container, try unpause instead');
  }
  if (status === 'removing' || status === 'dead') {
    throw new SwarmError('aborted', 'container is marked for removal and cannot be started');
  }
  return true;
}

/** Throws `aborted` for one that does not run. */
export function checkPausable(id: string, status: ContainerState['status']): void {
  if (status === 'running') return;
  const reasons: Partial<Record<typeof status, string>> = {
    paused: 'is already paused',
    restarting: 'is restarting, wait until the container is running',
  };
  throw new SwarmError('aborted', `container ${id} ${reasons[status] ?? 'is not running'}`);
}
