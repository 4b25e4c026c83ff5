/** What a new swarm begins with that is made of a backup. */
import { SwarmError } from '../../lib/errors.ts';
import {
  fileKinds,
  type Cluster,
  type ClusterVolume,
  type FileObject,
  type Network,
  type Node,
  type Service,
} from '../../types/index.ts';
import type { Backup } from './backup-file.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-codec.ts';
import { State } from './state.ts';
import type { StoreView } from './view.ts';

/** What a store begins with: its state as of a log index. */
export interface InitialState {
  readonly index: number;
  readonly snapshot: Uint8Array;
}

/**
 * Versions go on far above the backup's: what the swarm did after the backup has used numbers that
 * no one here knows, and workers and clients still hold things by them.
 */
const indexLeap = 1_000_000_000;

/** The backup's objects. Throws SwarmError `invalid-argument` where it holds no swarm. */
export function openBackup(backup: Backup): {
  readonly view: StoreView;
  readonly cluster: Cluster;
} {
  const state = new State();
  try {
    decodeSnapshot(backup.snapshot, state);
  } catch (error) {
    throw new SwarmError(
      'invalid-argument',
      `the backup cannot be read: ${SwarmError.from(error).message}`,
      { cause: error },
    );
  }
  const cluster = state.cluster();
  if (cluster?.id !== backup.clusterId) {
    throw new SwarmError('invalid-argument', 'the backup holds no swarm: use another one');
  }
  state.index = backup.index;
  return { view: state, cluster };
}

/**
 * The backup's state with `manager` as the only manager. The others are known as workers: they hold
 * a log that is no part of this history, and may be promoted again once they are back. Tasks are as
 * they were; those whose nodes come back go on.
 */
export function restoredState(backup: Backup, manager: Node): InitialState {
  const index = backup.index + indexLeap;
  const state = new State();
  decodeSnapshot(backup.snapshot, state);
  for (const node of state.nodes()) {
    const { manager: _, ...rest } = node;
    const spec: Node['spec'] = { ...node.spec, role: 'worker' };
    state.put('node', renewed({ ...rest, spec, role: 'worker' }, index));
  }
  for (const network of state.networks()) state.put('network', renewed(network, index));
  for (const kind of fileKinds) {
    for (const file of state.files(kind)) state.put(kind, renewed(file, index));
  }
  for (const volume of state.volumes()) state.put('volume', renewed(volume, index));
  for (const service of state.services()) state.put('service', renewed(service, index));
  const cluster = state.cluster();
  if (cluster !== undefined) state.put('cluster', renewed(cluster, index));
  state.put('node', renewed(manager, index));
  state.index = index;
  return { index, snapshot: Buffer.concat([...encodeSnapshot(state)]) };
}

function renewed<T extends Cluster | ClusterVolume | FileObject | Network | Node | Service>(
  object: T,
  version: number,
): T {
  return { ...object, meta: { ...object.meta, version } };
}
