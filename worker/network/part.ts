/** One aspect of the node's networks: interfaces, balancing, names. Each follows the tables. */
import type { TaskNetwork } from '../../types/index.ts';
import type { NetworkDelta } from './tables.ts';

/** A container that is on networks of the swarm, as every part sees it. */
export interface AttachedContainer {
  readonly id: string;
  /** Its network namespace. */
  readonly netnsPath: string;
  /** In the order of its interfaces: the first one's is eth0. */
  readonly networks: readonly TaskNetwork[];
  /** Asked for foreign names instead of the host's, from inside the container's namespace. */
  readonly nameservers?: readonly string[];
}

/** Something of the kernel that was not as it should be, and has been put right. */
export interface Repair {
  /**
   * `link`, `address`, `route`, `fdb`, `neighbour`, `nft`, `setting`, `namespace`: a label of the
   * metric.
   */
  readonly kind: string;
  /** What it was, in a few words for the log. */
  readonly what: string;
}

export interface NetworkPart extends AsyncDisposable {
  /** Called before the container starts, and again for each one that is adopted at a start. */
  attached(container: AttachedContainer): Promise<void>;
  detached(containerId: string): Promise<void>;
  /** The tables have changed. Resolves once the kernel reflects it: managers count on it. */
  changed(delta: NetworkDelta): Promise<void>;
  /** Compares the kernel with what is wanted, and puts right what differs. */
  audit(): Promise<readonly Repair[]>;
}
