/** The networks of this node, a file each: they outlive the daemon and the host's restarts. */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { networkSpec } from '../../../types/index.ts';
import type { LocalNetwork } from './plan.ts';

/** What is kept besides what the network is. */
export interface KeptNetwork extends LocalNetwork {
  /** The link below was made for this network. */
  readonly ownsParent?: boolean;
  /** A network of the swarm, as this node has made it for itself. */
  readonly isSwarms?: true;
}

export class NetworkFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  load(): readonly KeptNetwork[] {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => {
        const text = readFileSync(join(this.#folder, name), 'utf8');
        const { spec, ...rest } = JSON.parse(text) as KeptNetwork & { spec: unknown };
        return { ...rest, spec: networkSpec.decode(spec, 'Spec') };
      });
  }

  save(network: KeptNetwork): void {
    const path = this.#path(network.id);
    const document = { ...network, spec: networkSpec.encode(network.spec) };
    writeFileSync(`${path}.new`, JSON.stringify(document), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  delete(id: string): void {
    rmSync(this.#path(id), { force: true });
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`);
  }
}
