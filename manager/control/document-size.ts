/** Objects that the store takes now, and still takes with what managers write into them. */
import { SwarmError } from '../../lib/errors.ts';
import type { Change } from '../store/change.ts';

/**
 * What may come to a service, and to the tasks that are made of it, without anybody asking:
 * addresses and ports, how an update goes, why a task waits.
 */
const growthBytes = 64 * 1024;

/**
 * Throws `invalid-argument` for what a command would write that is larger than the store takes in
 * one key. Were it let in just below that, plans for it would be refused for ever.
 */
export function checkSizes(changes: readonly Change[], documentBytesMax: number | undefined): void {
  if (documentBytesMax === undefined) return;
  const most = documentBytesMax - growthBytes;
  for (const change of changes) {
    if (change.op !== 'put') continue;
    const bytes = Buffer.byteLength(JSON.stringify(change.object));
    if (bytes > most) throw tooLarge(change, bytes, most);
  }
}

function tooLarge(change: Extract<Change, { op: 'put' }>, bytes: number, most: number): SwarmError {
  const { table, object } = change;
  const name = 'spec' in object && 'name' in object.spec ? object.spec.name : object.id;
  const isBoth = table === 'service' && change.object.previousSpec !== undefined;
  const both = isBoth ? ', together with the spec that it may be rolled back to,' : '';
  return new SwarmError(
    'invalid-argument',
    `${table} ${name} is too large for the swarm's external store: it takes ${bytes} bytes${both} ` +
      `and may take ${most}; shorten its labels, environment and arguments, or keep them in configs`,
  );
}
