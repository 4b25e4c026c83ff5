/** Names of volumes that nobody has named. */
import { createHash } from 'node:crypto';
import type { Random } from '../../lib/random.ts';

export function randomName(random: Random): string {
  return createHash('sha256').update(random.id()).update(random.id()).digest('hex');
}

/**
 * The same for the same container, whose id is nobody else's: a daemon that is killed between the
 * volume and the note of it finds it again.
 */
export function nameFor(containerId: string, target: string): string {
  return createHash('sha256').update(`${containerId}\0${target}`).digest('hex');
}
