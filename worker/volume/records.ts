/** The node's own list of volumes, as it was before the daemon stopped. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { VolumeRecord } from './volume.ts';

export class VolumeRecords implements Disposable {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;

  /** ":memory:" in the place of a folder keeps nothing. */
  constructor(folder: string) {
    if (folder !== ':memory:') mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = folder === ':memory:' ? folder : join(folder, 'volumes.db');
    this.#database = new DatabaseSync(path);
    // Options hold passwords, of file servers for example: the folder is root's alone.
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS volume (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    `);
    this.#put = this.#database.prepare(
      'INSERT INTO volume (name, record) VALUES (?, ?) ' +
        'ON CONFLICT (name) DO UPDATE SET record = excluded.record',
    );
    this.#delete = this.#database.prepare('DELETE FROM volume WHERE name = ?');
  }

  load(): readonly VolumeRecord[] {
    const rows = this.#database.prepare('SELECT record FROM volume ORDER BY name').all();
    return rows.map(({ record }) => JSON.parse(String(record)) as VolumeRecord);
  }

  /** Durable when it returns. */
  put(record: VolumeRecord): void {
    this.#put.run(record.name, JSON.stringify(record));
  }

  delete(name: string): void {
    this.#delete.run(name);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
