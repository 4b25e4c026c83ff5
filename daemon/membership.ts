/** Whether this host is in a swarm, and as what: one small file, replaced atomically. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, SwarmError } from '../lib/errors.ts';

export interface Membership {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly isManager: boolean;
  /** Where the cluster port listens, on managers: "0.0.0.0:2377". */
  readonly listenAddr: string;
  /** What other nodes are told: "10.0.0.1:2377". */
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  /** The interface that has the advertised address; absent where none of this host's has it. */
  readonly interface?: string;
  /** The manager that a joining host was told of; later ones are learned from the session. */
  readonly joinedThrough?: string;
}

export class MembershipFile {
  readonly #path: string;

  constructor(swarmRoot: string) {
    this.#path = join(swarmRoot, 'membership.json');
  }

  /** Throws SwarmError `failed-precondition` when the file cannot be understood. */
  read(): Membership | undefined {
    try {
      return JSON.parse(readFileSync(this.#path, 'utf8')) as Membership;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      if (!(error instanceof SyntaxError)) throw error;
      throw new SwarmError(
        'failed-precondition',
        `${this.#path} is damaged: restore it from a backup, or remove the folder to leave the swarm`,
        { cause: error },
      );
    }
  }

  write(membership: Membership): void {
    const folder = dirname(this.#path);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = openSync(`${this.#path}.new`, 'w', 0o600);
    writeSync(file, `${JSON.stringify(membership, null, 2)}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(`${this.#path}.new`, this.#path);
    const directory = openSync(folder, 'r');
    fsyncSync(directory);
    closeSync(directory);
  }

  /** The first thing to go when the node leaves: without it the rest is only leftovers. */
  remove(): void {
    rmSync(this.#path, { force: true });
  }
}
