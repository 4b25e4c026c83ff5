/** One aspect of the node's networks: interfaces, balancing, names. Each follows the tables. */
import type { TaskNetwork } from '../../types/index.ts';
import type { NetworkDelta } from './tables.ts';

export interface AttachedNetwork extends TaskNetwork {
  /** Of its interface: eth0 is 0. Absent: its place among the container's networks. */
  readonly position?: number;
}

/** A container that is on networks, as every part sees it. */
export interface AttachedContainer {
  readonly id: string;
  /** Its network namespace. */
  readonly netnsPath: string;
  /** In the order in which it came to them. */
  readonly networks: readonly AttachedNetwork[];
  /** It is on the gateway bridge, and its default route leads there. */
  readonly leavesByBridge?: boolean;
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
  /**
   * Called before the container starts, again for each one that is adopted at a start, and again
   * when its networks have changed while it runs.
   */
  attached(container: AttachedContainer): Promise<void>;
  /** A container that runs on leaves one network; `attached` with the others follows. */
  left?(containerId: string, networkId: string): Promise<void>;
  detached(containerId: string): Promise<void>;
  /** The tables have changed. Resolves once the kernel reflects it: managers count on it. */
  changed(delta: NetworkDelta): Promise<void>;
  /**
   * Compares the kernel with what is wanted, and puts right what differs. `isQuiet`: no link,
   * address, route or rule has changed since an audit that found them right; they need no look.
   */
  audit(isQuiet?: boolean): Promise<readonly Repair[]>;
}
