/** What must hold of cluster volumes: who uses them, and who can. */
import type { Store } from '../../../manager/store/index.ts';
import {
  accessModeOf,
  clusterMountsOf,
  isActive,
  type ClusterVolume,
  type Node,
  type Task,
} from '../../../types/index.ts';
import type { SimCluster } from '../../scenario/sim-cluster.ts';
import { Violation } from '../violation.ts';

const placedRule = 'a volume is used as its access mode says';
const quietRule = 'volumes are where their tasks are';

/** A task has been given a node at that moment. */
export function checkVolumesOf(task: Task, store: Store, atMs: number): void {
  for (const { id, isWriter } of task.volumes ?? []) {
    const volume = store.volume(id);
    if (volume === undefined) continue;
    const fail = (what: string) => {
      throw new Violation(placedRule, `${task.name} is given ${volume.spec.name}, ${what}`);
    };
    const { scope, sharing } = accessModeOf(volume.spec.cluster);
    const others = [...store.tasksOfVolume(id)].filter((other) => {
      const node = store.node(other.nodeId);
      // One that has been heard of again at that very moment is not known to those who planned.
      const isThere = node?.status.state !== 'down' && node?.meta.updatedAtMs !== atMs;
      return other.id !== task.id && node !== undefined && isThere;
    });
    const [first] = others;
    const elsewhere = others.find(({ nodeId }) => nodeId !== task.nodeId);
    if (scope === 'single' && elsewhere !== undefined) {
      fail(`which ${elsewhere.name} has on ${elsewhere.nodeId}`);
    }
    if (sharing === 'none' && first !== undefined) fail(`which ${first.name} has for itself`);
    if (sharing === 'readonly' && isWriter) fail('to write to it, which nobody may');
    const writer = others.find(({ volumes = [] }) =>
      volumes.some((one) => one.id === id && one.isWriter),
    );
    if (sharing === 'onewriter' && isWriter && writer !== undefined) {
      fail(`which ${writer.name} writes to already`);
    }
  }
}

/** At any moment: what a node has mounted is within its reach, and no other's that may not share it. */
export function checkMounts({ store, workers, array }: SimCluster): void {
  const [fault] = array.faults;
  if (fault !== undefined) throw new Violation('a volume is published to one node', fault);
  for (const [nodeId, worker] of workers) {
    for (const id of worker.mounted) {
      const volume = store.volume(id);
      const onArray = volume?.info?.volumeId;
      if (onArray === undefined || array.nodesOf(onArray).includes(nodeId)) continue;
      const what = `${volume?.spec.name} is taken from ${nodeId}, where a task uses it`;
      throw new Violation('a volume is not taken from under a task', what);
    }
  }
}

/** Once time has passed: published where it is used, and nowhere else. */
export function checkVolumesQuiet({ store, array }: SimCluster): void {
  for (const volume of store.volumes()) {
    const used = new Set(
      [...store.tasksOfVolume(volume.id)].filter(isActive).map(({ nodeId }) => nodeId),
    );
    const states = volume.publishStatus.map(({ nodeId, state }) => `${nodeId} ${state}`);
    const expected = [...used].map((nodeId) => `${nodeId} published`);
    const [is, wanted] = [states, expected].map((list) => list.toSorted().join(', '));
    if (is !== wanted) fail(`${volume.spec.name} is ${is}, not ${wanted}`);
    const reached = array
      .nodesOf(volume.info?.volumeId ?? '')
      .toSorted()
      .join(', ');
    const nodes = [...used].toSorted().join(', ');
    if (reached !== nodes) fail(`${volume.spec.name} is published to ${reached}, not ${nodes}`);
  }
  const known = new Set([...store.volumes()].map(({ info }) => info?.volumeId));
  const left = array.volumes.find((id) => !known.has(id));
  if (left !== undefined) fail(`${left} is still there, and nobody knows of it`);
}

function fail(what: string): never {
  throw new Violation(quietRule, what);
}

/** Why the task cannot have its volumes on the node now, found out from the objects alone. */
export function volumeMisfit(store: Store, task: Task, node: Node): string | undefined {
  for (const { source = '', readOnly } of clusterMountsOf(task.spec.container)) {
    const volume = store.volumeByName(source);
    if (volume === undefined || volume.isRemoved === true || volume.info === undefined) {
      return 'no volume';
    }
    const why = refusal(store, volume, task, node, readOnly !== true);
    if (why !== undefined) return why;
  }
  return undefined;
}

function refusal(
  store: Store,
  { id, spec, publishStatus }: ClusterVolume,
  task: Task,
  node: Node,
  isWriter: boolean,
): string | undefined {
  const csi = node.description?.csi ?? [];
  if (!csi.some(({ driver }) => driver === spec.driver.name)) return 'no driver';
  const { scope, sharing } = accessModeOf(spec.cluster);
  if (sharing === 'readonly' && isWriter) return 'read only';
  const others = [...store.tasksOfVolume(id)].filter((other) => other.id !== task.id);
  const nodes = [...others, ...publishStatus].map(({ nodeId }) => nodeId);
  if (scope === 'single' && nodes.some((nodeId) => nodeId !== node.id)) return 'it is elsewhere';
  if (sharing === 'none' && others.length > 0) return 'it is in use';
  const writers = others.flatMap(({ volumes = [] }) => volumes.filter((one) => one.id === id));
  const isWritten = writers.some((one) => one.isWriter);
  return sharing === 'onewriter' && isWriter && isWritten ? 'it has a writer' : undefined;
}
