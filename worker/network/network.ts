/** Connects containers: the port that the task manager drives. */
import type { NetworkAssignments, PortConfig, TaskNetwork } from '../../types/index.ts';

export interface AttachRequest {
  readonly containerId: string;
  /** `bridge`: the gateway bridge, with masqueraded egress. */
  readonly mode: 'bridge' | 'none';
  /** In the order of the interfaces (eth0, eth1, …); the bridge's comes last. */
  readonly networks?: readonly TaskNetwork[];
  /** The bridge is wanted beside the networks, also where it is not needed as the way out. */
  readonly isOnBridge?: boolean;
  /** Of the bridge, where it is wanted: as the networks' own. Absent: 0. */
  readonly bridgePriority?: number;
  /** Of the interface on the bridge; absent: as the address there says. */
  readonly bridgeMac?: string;
  /** Host-mode ports; `publishedPort` absent: the driver chooses one from 30000 to 32767. */
  readonly ports: readonly PortConfig[];
  /** Asked for foreign names instead of the host's, where the swarm's names are answered. */
  readonly nameservers?: readonly string[];
  /** IPv6 is off in the container: nobody gives it an address of that. */
  readonly ipv4Only?: boolean;
}

export interface Attachment {
  /** The container's network namespace, to be given to the runtime. */
  readonly netnsPath: string;
  /** "10.0.1.5/24" of each network in turn, and the bridge's last; empty for `none` alone. */
  readonly addresses: readonly string[];
  /** On the bridge, where it is on it. */
  readonly bridgeAddress?: string;
  /** Those of the interfaces by which it leaves, one for each family; absent: it does not leave. */
  readonly waysOut?: readonly string[];
  readonly gateway?: string;
  /** Where the swarm's names are answered; absent where the container is on no network of it. */
  readonly resolver?: string;
  /** On networks of the swarm on which this node gives the addresses: what it gave. */
  readonly given?: readonly Pick<TaskNetwork, 'networkId' | 'addresses'>[];
  /** As bound. */
  readonly ports: readonly PortConfig[];
}

export interface NetworkDriver extends AsyncDisposable {
  /**
   * Makes the namespace and connects it. Idempotent: asked again for the same container, also after
   * a daemon restart, it returns the attachment that is there. Throws SwarmError `already-exists`
   * when a port is taken, naming the port and its owner; `unavailable` when the managers say
   * nothing of one of its networks.
   */
  attach(request: AttachRequest, options?: { signal?: AbortSignal }): Promise<Attachment>;
  /**
   * Makes the networks of a container that runs those of the request; its namespace, its ports and
   * its interfaces on the networks that it keeps stay as they are. Throws like `attach`, and then
   * leaves everything as it was; `not-found` for a container that is not attached.
   */
  change(request: AttachRequest, options?: { signal?: AbortSignal }): Promise<Attachment>;
  /** One that is not attached is not an error. */
  detach(containerId: string): Promise<void>;
  /**
   * Takes what the managers say of networks. Resolves once the kernel reflects it. Sets are taken
   * in the order of the calls.
   */
  assign(networks: NetworkAssignments): Promise<void>;
  /**
   * Frees whatever belongs to containers other than these: called once the daemon knows its own,
   * which are taken up again as they are.
   */
  retain(containerIds: ReadonlySet<string>): Promise<void>;
}
