/**
 * What is attached, in a file each under the run root, which lives as long as the kernel's state
 * does: both are gone after a reboot.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PortConfig } from '../../types/index.ts';
import type { AttachedNetwork } from './part.ts';

export interface AttachmentRecord {
  readonly containerId: string;
  readonly mode: 'bridge' | 'none';
  /** On the gateway bridge, without prefix; absent where it is not on it. */
  readonly address?: string;
  readonly ports: readonly PortConfig[];
  /** In the order in which the container came to them. */
  readonly networks?: readonly AttachedNetwork[];
  /** Of its interface on the gateway bridge; absent: after those of the networks. */
  readonly bridgePosition?: number;
  /** Of that interface, where it was chosen. */
  readonly bridgeMac?: string;
  /** The gateway bridge is a network that it is on, and not only its way out. */
  readonly isOnBridge?: boolean;
  /** Its default route leads by a network of this node, though it is on the bridge. */
  readonly leavesByNetwork?: true;
  readonly nameservers?: readonly string[];
  readonly ipv4Only?: true;
}

export class Attachments {
  readonly #folder: string;
  readonly #records = new Map<string, AttachmentRecord>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Those whose containers are not alive are gone with a crash: their files go too. */
  load(isAlive: (containerId: string) => boolean): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#folder)) {
      if (!name.endsWith('.json')) continue;
      const path = join(this.#folder, name);
      const record = JSON.parse(readFileSync(path, 'utf8')) as AttachmentRecord;
      if (isAlive(record.containerId)) this.#records.set(record.containerId, record);
      else rmSync(path, { force: true });
    }
  }

  get size(): number {
    return this.#records.size;
  }

  get(containerId: string): AttachmentRecord | undefined {
    return this.#records.get(containerId);
  }

  all(): Iterable<AttachmentRecord> {
    return this.#records.values();
  }

  ids(): Iterable<string> {
    return this.#records.keys();
  }

  /** Known from here on, but not yet after a restart. */
  put(record: AttachmentRecord): void {
    this.#records.set(record.containerId, record);
  }

  save(record: AttachmentRecord): void {
    const path = this.#path(record.containerId);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  delete(containerId: string): void {
    this.#records.delete(containerId);
    rmSync(this.#path(containerId), { force: true });
  }

  #path(containerId: string): string {
    return join(this.#folder, `${containerId}.json`);
  }
}
