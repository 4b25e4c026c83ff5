/** The node's own list of standalone containers, as it was before the daemon stopped. */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { ContainerRecord, ContainerState } from './view.ts';

interface StoredContainer {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
}

export class Records implements Disposable {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #state: StatementSync;
  readonly #delete: StatementSync;

  /** ":memory:" in the place of a folder keeps nothing. */
  constructor(folder: string) {
    if (folder !== ':memory:') mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = folder === ':memory:' ? folder : join(folder, 'containers.db');
    this.#database = new DatabaseSync(path);
    // Environments hold passwords.
    if (folder !== ':memory:') chmodSync(path, 0o600);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS container (
        id TEXT PRIMARY KEY, record TEXT NOT NULL, state TEXT NOT NULL
      ) STRICT;
    `);
    this.#put = this.#database.prepare(
      'INSERT INTO container (id, record, state) VALUES (?, ?, ?) ' +
        'ON CONFLICT (id) DO UPDATE SET record = excluded.record, state = excluded.state',
    );
    this.#state = this.#database.prepare('UPDATE container SET state = ? WHERE id = ?');
    this.#delete = this.#database.prepare('DELETE FROM container WHERE id = ?');
  }

  load(): readonly StoredContainer[] {
    return this.#database
      .prepare('SELECT record, state FROM container ORDER BY id')
      .all()
      .map(({ record, state }) => ({
        record: JSON.parse(String(record)) as ContainerRecord,
        state: JSON.parse(String(state)) as ContainerState,
      }));
  }

  /** Durable when it returns. */
  put(record: ContainerRecord, state: ContainerState): void {
    this.#synced('FULL');
    this.#put.run(record.id, JSON.stringify(record), JSON.stringify(state));
  }

  /** What it says is found out again from the container itself, but for its restarts. */
  save(id: string, state: ContainerState): void {
    this.#synced('NORMAL');
    this.#state.run(JSON.stringify(state), id);
  }

  delete(id: string): void {
    this.#synced('FULL');
    this.#delete.run(id);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #synced(synchronous: 'FULL' | 'NORMAL'): void {
    this.#database.exec(`PRAGMA synchronous = ${synchronous}`);
  }
}
