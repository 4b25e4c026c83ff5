/** Which cluster volumes a task would have on a node, or why it cannot have them there. */
import type { StoreView } from '../store/view.ts';
import {
  accessModeOf,
  clusterMountsOf,
  groupPrefix,
  liesIn,
  type ClusterVolume,
  type Mount,
  type Node,
  type Task,
  type VolumeAttachment,
} from '../../types/index.ts';

interface User {
  readonly taskId: string;
  readonly nodeId: string;
  readonly isWriter: boolean;
  /** Placed by this run, for which any task of a group may stand. */
  readonly isNew?: boolean;
}

/**
 * Who holds what. A task that is to stop holds its volumes until it has, and a node that is lost
 * until its driver has taken them away. What the run itself has placed is added.
 */
export class VolumeBook {
  readonly #view: StoreView;
  readonly #users = new Map<string, User[]>();

  constructor(view: StoreView) {
    this.#view = view;
  }

  /** A sentence where the task cannot have all that it asks for on the node. */
  choose(task: Task, node: Node): readonly VolumeAttachment[] | string {
    const chosen: VolumeAttachment[] = [];
    for (const mount of clusterMountsOf(task.spec.container)) {
      const { source = '', target } = mount;
      const isWriter = mount.readOnly !== true;
      const found = this.#find(task, node, mount, chosen);
      if (typeof found === 'string') return found;
      chosen.push({ id: found.id, source, target, isWriter });
    }
    return chosen;
  }

  /** The task has been given the node in this run. */
  take(task: Task, nodeId: string, attachments: readonly VolumeAttachment[]): void {
    for (const { id, isWriter } of attachments) {
      this.#usersOf(id).push({ taskId: task.id, nodeId, isWriter, isNew: true });
    }
  }

  #find(
    task: Task,
    node: Node,
    mount: Mount,
    chosen: readonly VolumeAttachment[],
  ): ClusterVolume | string {
    const { source = '' } = mount;
    const candidates = this.#candidates(source, node.id);
    let why = source.startsWith(groupPrefix)
      ? `there is no volume in the group ${source.slice(groupPrefix.length)}`
      : `volume ${source}: there is no such cluster volume`;
    for (const volume of candidates) {
      if (chosen.some(({ id }) => id === volume.id)) continue;
      const refusal = this.#refusal(volume, task, node, mount.readOnly !== true);
      if (refusal === undefined) return volume;
      why = `volume ${volume.spec.name}: ${refusal}`;
    }
    return why;
  }

  /** Those that the node has already come first. */
  #candidates(source: string, nodeId: string): readonly ClusterVolume[] {
    if (!source.startsWith(groupPrefix)) {
      const volume = this.#view.volumeByName(source);
      return volume === undefined ? [] : [volume];
    }
    const group = source.slice(groupPrefix.length);
    const isThere = ({ publishStatus }: ClusterVolume) =>
      publishStatus.some((status) => status.nodeId === nodeId);
    return [...this.#view.volumes()]
      .filter(({ spec }) => (spec.cluster.group ?? '') === group)
      .sort(
        (a, b) => Number(isThere(b)) - Number(isThere(a)) || (a.spec.name < b.spec.name ? -1 : 1),
      );
  }

  #refusal(volume: ClusterVolume, task: Task, node: Node, isWriter: boolean): string | undefined {
    return (
      unusable(volume) ??
      this.#unreachable(volume, node) ??
      this.#conflict(volume, task, node, isWriter)
    );
  }

  #unreachable(volume: ClusterVolume, node: Node): string | undefined {
    const driver = volume.spec.driver.name ?? '';
    const csi = node.description?.csi?.find((info) => info.driver === driver);
    if (csi === undefined || csi.nodeId === '') return `the node lacks its driver ${driver}`;
    const topology = volume.info?.accessibleTopology ?? [];
    if (topology.length > 0 && !topology.some((one) => liesIn(csi.topology, one))) {
      return 'it cannot be reached from where the node is';
    }
    if (csi.maxVolumes > 0 && this.#othersOn(node.id, volume) >= csi.maxVolumes) {
      return `the node has ${csi.maxVolumes} volumes of ${driver}, and can have no more`;
    }
    return undefined;
  }

  #conflict(
    { id, spec, publishStatus }: ClusterVolume,
    task: Task,
    node: Node,
    isWriter: boolean,
  ): string | undefined {
    const { scope, sharing } = accessModeOf(spec.cluster);
    if (sharing === 'readonly' && isWriter) return 'it can only be mounted readonly';
    const users = this.#usersOf(id).filter((user) => user.isNew || user.taskId !== task.id);
    const isSole = scope === 'single' || sharing === 'none';
    const isSoleWriter = isWriter && sharing === 'onewriter';
    const lost = publishStatus.find(({ nodeId }) => isGone(this.#view.node(nodeId)));
    if (lost !== undefined && (isSole || isSoleWriter)) {
      const trouble = lost.trouble === undefined ? '' : `: ${lost.trouble.message}`;
      return `waiting for it to be taken from ${this.#name(lost.nodeId)}, which is lost${trouble}`;
    }
    if (isSoleWriter) {
      // Who has let go may have written: its task need not be known any more.
      const leaving = publishStatus.find(
        ({ state, released }) => state.endsWith('unpublish') && released === undefined,
      );
      if (leaving !== undefined) return `waiting for ${this.#name(leaving.nodeId)} to let go of it`;
    }
    if (isSole) {
      const elsewhere =
        users.find(({ nodeId }) => nodeId !== node.id) ??
        publishStatus.find(({ nodeId }) => nodeId !== node.id);
      if (elsewhere !== undefined) {
        return `waiting for ${this.#name(elsewhere.nodeId)} to let go of it`;
      }
    }
    if (sharing === 'none' && users.length > 0) return 'another task uses it, and it is not shared';
    if (isSoleWriter && users.some((user) => user.isWriter)) {
      return 'another task writes to it, and only one may';
    }
    return undefined;
  }

  /** Other volumes of the same driver that the node has, or is to have. */
  #othersOn(nodeId: string, { id, spec }: ClusterVolume): number {
    return [...this.#view.volumes()].filter(
      (other) =>
        other.id !== id &&
        other.spec.driver.name === spec.driver.name &&
        (other.publishStatus.some((status) => status.nodeId === nodeId) ||
          this.#usersOf(other.id).some((user) => user.nodeId === nodeId)),
    ).length;
  }

  #usersOf(id: string): User[] {
    let users = this.#users.get(id);
    if (users === undefined) {
      users = [...this.#view.tasksOfVolume(id)].flatMap(({ id: taskId, nodeId, volumes = [] }) =>
        isGone(this.#view.node(nodeId))
          ? []
          : volumes
              .filter((one) => one.id === id)
              .map(({ isWriter }) => ({ taskId, nodeId, isWriter })),
      );
      this.#users.set(id, users);
    }
    return users;
  }

  #name(nodeId: string): string {
    return this.#view.node(nodeId)?.description?.hostname ?? nodeId;
  }
}

function unusable({ info, isRemoved, spec, trouble }: ClusterVolume): string | undefined {
  if (isRemoved === true) return 'it is being removed';
  const { availability } = spec.cluster;
  if (availability === 'pause') return 'it is paused: it takes no new tasks';
  if (availability === 'drain') return 'it is drained';
  if (info !== undefined) return undefined;
  const driver = spec.driver.name ?? '';
  return trouble === undefined
    ? `waiting for the driver ${driver} to make it`
    : `waiting for the driver ${driver} to make it: ${trouble.message}`;
}

function isGone(node: Node | undefined): boolean {
  return node === undefined || node.status.state === 'down';
}
