/** The ids of tasks' containers, as Docker shows them. */
import { createHash } from 'node:crypto';

/** Docker's ids are 64 hexadecimal digits; that of a task's container follows from its name. */
export function taskContainerHexId(containerId: string): string {
  return createHash('sha256').update(containerId).digest('hex');
}
