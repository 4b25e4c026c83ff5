import { join } from 'node:path';
import { SwarmError } from '../../lib/errors.ts';
import { readIfThere, writeFileAtomic } from '../../lib/identity/index.ts';
import type { Node } from '../../types/index.ts';
import type { KnownManager } from './manager-list.ts';

/** What the managers last said of the swarm. */
export interface ClusterState {
  readonly managers: readonly KnownManager[];
  /** This node, as the managers have it. */
  readonly node?: Node;
  readonly rootCaPem: string;
  /** Whose certificates are issued now. */
  readonly issuerPem?: string;
  /** A certificate of another issuer is to be renewed within this time. */
  readonly renewWithinMs?: number;
}

export interface NewsKeeper {
  /** What was written last; undefined where nothing was. */
  read(): Promise<ClusterState | undefined>;
  /** Durable when it resolves. */
  write(state: ClusterState): Promise<void>;
}

/** The last news on disk, so that a daemon that starts knows where the managers are. */
export class NewsFile implements NewsKeeper {
  readonly #path: string;
  #written = '';

  constructor(folder: string) {
    this.#path = join(folder, 'cluster.json');
  }

  async read(): Promise<ClusterState | undefined> {
    const text = await readIfThere(this.#path);
    if (text === undefined) return undefined;
    this.#written = text;
    try {
      return JSON.parse(text) as ClusterState;
    } catch (error) {
      throw new SwarmError(
        'failed-precondition',
        `${this.#path} cannot be read; remove it, and the managers will tell its content again`,
        { cause: error },
      );
    }
  }

  async write(state: ClusterState): Promise<void> {
    const text = JSON.stringify(state);
    if (text === this.#written) return;
    await writeFileAtomic(this.#path, text);
    this.#written = text;
  }
}
