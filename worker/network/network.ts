/** Connects containers: the port that the task manager drives. */
import type { PortConfig, TaskNetwork } from '../../types/index.ts';

export interface AttachRequest {
  readonly containerId: string;
  /** `bridge`: the gateway bridge, with masqueraded egress. */
  readonly mode: 'bridge' | 'none';
  /** Swarm networks, in the order of the interfaces (eth0, eth1, …); the bridge's comes last. */
  readonly networks?: readonly TaskNetwork[];
  /** Host-mode ports; `publishedPort` absent: the driver chooses one from 30000 to 32767. */
  readonly ports: readonly PortConfig[];
}

export interface Attachment {
  /** The container's network namespace, to be given to the runtime. */
  readonly netnsPath: string;
  /** "10.0.1.5/24" of each network in turn, and the bridge's last; empty for `none` alone. */
  readonly addresses: readonly string[];
  readonly gateway?: string;
  /** Where names of the swarm are answered; absent where the container is on none of its networks. */
  readonly resolver?: string;
  /** As bound. */
  readonly ports: readonly PortConfig[];
}

export interface NetworkDriver extends AsyncDisposable {
  /**
   * Makes the namespace and connects it. Idempotent: asked again for the same container, also after
   * a daemon restart, it returns the attachment that is there. Throws SwarmError `already-exists`
   * when a port is taken, naming the port and its owner.
   */
  attach(request: AttachRequest, options?: { signal?: AbortSignal }): Promise<Attachment>;
  /** One that is not attached is not an error. */
  detach(containerId: string): Promise<void>;
  /**
   * Frees whatever belongs to containers other than these: called once the daemon knows its own.
   */
  retain(containerIds: ReadonlySet<string>): Promise<void>;
}
