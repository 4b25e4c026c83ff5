/** Connects containers: the port that the task manager drives. */
import type { PortConfig } from '../../types/index.ts';

export interface AttachRequest {
  readonly containerId: string;
  /** `bridge`: the gateway bridge, with masqueraded egress. */
  readonly mode: 'bridge' | 'none';
  /** Host-mode ports; `publishedPort` absent: the driver chooses one from 30000 to 32767. */
  readonly ports: readonly PortConfig[];
}

export interface Attachment {
  /** The container's network namespace, to be given to the runtime. */
  readonly netnsPath: string;
  /** "172.18.0.5/16"; empty for `none`. */
  readonly addresses: readonly string[];
  readonly gateway?: string;
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
