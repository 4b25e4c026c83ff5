import { AssignmentChange_Action } from '../../gen/dispatcher_pb.js';
import { accessModeOf, type AssignedVolume, type ClusterVolume } from '../../types/index.ts';
import { knownSecrets } from '../csi/request.ts';
import type { StoreView } from '../store/view.ts';
import { encodeJson } from './wire.ts';

export interface VolumeChange {
  readonly action: AssignmentChange_Action;
  readonly type: 'volume';
  readonly id: string;
  readonly object?: Uint8Array;
}

type View = Pick<StoreView, 'volume' | 'volumes' | 'file' | 'revisions'>;

/** The cluster volumes that one node may use, and those that it is to let go of. */
export class VolumeFeed {
  readonly #view: View;
  readonly #nodeId: string;
  readonly #dirty = new Set<string>();
  /** Publications that the node was told of, by volume. */
  readonly #told = new Map<string, string>();

  constructor(view: View, nodeId: string) {
    this.#view = view;
    this.#nodeId = nodeId;
  }

  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  mark(volumeId: string): void {
    this.#dirty.add(volumeId);
  }

  /** All there is: a volume that is not named is to be let go of. */
  complete(): VolumeChange[] {
    this.#dirty.clear();
    this.#told.clear();
    return [...this.#view.volumes()].flatMap((volume) => this.#changes(volume.id, volume));
  }

  changes(): VolumeChange[] {
    const changes = [...this.#dirty].flatMap((id) => this.#changes(id, this.#view.volume(id)));
    this.#dirty.clear();
    return changes;
  }

  #changes(id: string, volume: ClusterVolume | undefined): VolumeChange[] {
    const status = volume?.publishStatus.find(({ nodeId }) => nodeId === this.#nodeId);
    if (volume !== undefined && status?.state === 'published') {
      if (this.#told.get(id) === status.publication) return [];
      this.#told.set(id, status.publication);
      const { spec, info } = volume;
      const object: AssignedVolume = {
        id,
        name: spec.name,
        driver: spec.driver.name ?? '',
        volumeId: info?.volumeId ?? '',
        publication: status.publication,
        accessMode: accessModeOf(spec.cluster),
        volumeContext: info?.volumeContext ?? {},
        publishContext: status.publishContext ?? {},
        secrets: knownSecrets(this.#view, volume),
      };
      const action = AssignmentChange_Action.UPDATE;
      return [{ action, type: 'volume', id, object: encodeJson(object) }];
    }
    // One that was taken from the node while it was lost is not waited for, but has to go as well.
    const publication =
      status?.state === 'pending-node-unpublish' ? status.publication : this.#told.get(id);
    if (publication === undefined) return [];
    this.#told.delete(id);
    const action = AssignmentChange_Action.REMOVE;
    return [{ action, type: 'volume', id, object: Buffer.from(publication) }];
  }
}
