/** A group that has lost its quorum for good goes on with one of its nodes, by a person's decision. */
import { emptyConf, type NodeId } from '../core/index.ts';
import { RaftError } from './errors.ts';
import type { Machine } from './ports.ts';
import { Storage, type StorageOptions } from './storage.ts';

/**
 * Makes what this node has the state of a group of its own: a snapshot in which it is the only
 * member takes the place of its log. All entries of the log are kept, also those not known to be
 * committed: an acknowledged one may be among them. To be called before the node is opened; the
 * other nodes of the old group must never come back with their logs.
 */
export async function recoverAlone<T>(
  id: NodeId,
  options: StorageOptions,
  machine: Machine<T>,
): Promise<{ index: number }> {
  await using storage = await Storage.open(options);
  const loaded = await storage.load();
  if (loaded === undefined) {
    throw new RaftError('refused', 'there is no log on this node to make a new group of');
  }
  const { snapshot, snapshotData, entries, hardState } = loaded;
  if (snapshot !== undefined && snapshotData !== undefined) {
    machine.restore(snapshot.index, snapshotData);
  }
  for (const { index, kind, data } of entries) {
    if (kind === 'normal' && data.length > 0) machine.apply(index, data);
  }
  const last = entries.at(-1) ?? snapshot;
  if (last === undefined) throw new RaftError('refused', 'the log on this node is empty');
  const { index, term } = last;
  const state = Buffer.concat([...machine.snapshotParts()]);
  await storage.installSnapshot({ index, term, conf: emptyConf([id]) }, state);
  const nextTerm = Math.max(hardState.term, term) + 1;
  await storage.write([], { term: nextTerm, vote: '', commit: index });
  return { index };
}
