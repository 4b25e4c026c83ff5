/** The node's own durable copy of its assignments: tasks run on while no manager can be reached. */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { AssignedTask, NetworkAssignments, TaskStatus } from '../../types/index.ts';
import type { PreparedTask } from '../task/index.ts';

interface StoredTask {
  readonly task: AssignedTask;
  /** What this node last made of it; absent before the first change. */
  readonly status: TaskStatus | undefined;
  readonly prepared: PreparedTask | undefined;
}

export interface Progress {
  readonly status: TaskStatus;
  readonly prepared: PreparedTask | undefined;
}

/**
 * Assignments are synced to the disk before they count as taken. Progress is not: what it says is
 * found out again from the containers themselves.
 */
export class LocalCopy implements Disposable {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #progress: StatementSync;
  readonly #delete: StatementSync;
  readonly #putNetwork: StatementSync;
  readonly #deleteNetwork: StatementSync;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'tasks.db');
    this.#database = new DatabaseSync(path);
    // Credentials for registries are in it.
    chmodSync(path, 0o600);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS task (
        id TEXT PRIMARY KEY, assignment TEXT NOT NULL, status TEXT, prepared TEXT
      ) STRICT;
      CREATE TABLE IF NOT EXISTS network_object (
        type TEXT NOT NULL, id TEXT NOT NULL, object TEXT NOT NULL, PRIMARY KEY (type, id)
      ) STRICT, WITHOUT ROWID;
    `);
    this.#put = this.#database.prepare(
      'INSERT INTO task (id, assignment) VALUES (?, ?) ' +
        'ON CONFLICT (id) DO UPDATE SET assignment = excluded.assignment',
    );
    this.#progress = this.#database.prepare(
      'UPDATE task SET status = ?, prepared = ? WHERE id = ?',
    );
    this.#delete = this.#database.prepare('DELETE FROM task WHERE id = ?');
    this.#putNetwork = this.#database.prepare(
      'INSERT OR REPLACE INTO network_object (type, id, object) VALUES (?, ?, ?)',
    );
    this.#deleteNetwork = this.#database.prepare(
      'DELETE FROM network_object WHERE type = ? AND id = ?',
    );
  }

  load(): readonly StoredTask[] {
    return this.#database
      .prepare('SELECT assignment, status, prepared FROM task ORDER BY id')
      .all()
      .map(({ assignment, status, prepared }) => ({
        task: JSON.parse(String(assignment)) as AssignedTask,
        status: typeof status === 'string' ? (JSON.parse(status) as TaskStatus) : undefined,
        prepared: typeof prepared === 'string' ? (JSON.parse(prepared) as PreparedTask) : undefined,
      }));
  }

  /** What was last said of networks: all that there is. */
  loadNetworks(): NetworkAssignments {
    const rows = this.#database.prepare('SELECT type, object FROM network_object').all();
    const update = rows.map(
      ({ type, object }) =>
        ({
          type,
          object: JSON.parse(String(object)) as unknown,
        }) as NetworkAssignments['update'][0],
    );
    return { complete: true, update, remove: [] };
  }

  /** Not synced: what a crash of the host loses is said again by the managers. */
  assignNetworks({ complete, update, remove }: NetworkAssignments): void {
    if (!complete && update.length === 0 && remove.length === 0) return;
    this.#transaction('NORMAL', () => {
      if (complete) this.#database.exec('DELETE FROM network_object');
      for (const { type, object } of update) {
        this.#putNetwork.run(type, object.id, JSON.stringify(object));
      }
      for (const { type, id } of remove) this.#deleteNetwork.run(type, id);
    });
  }

  /** Durable when it returns. */
  assign(update: readonly AssignedTask[], remove: readonly string[]): void {
    if (update.length === 0 && remove.length === 0) return;
    this.#transaction('FULL', () => {
      for (const task of update) this.#put.run(task.id, JSON.stringify(task));
      for (const id of remove) this.#delete.run(id);
    });
  }

  save(progress: ReadonlyMap<string, Progress>): void {
    if (progress.size === 0) return;
    this.#transaction('NORMAL', () => {
      for (const [id, { status, prepared }] of progress) {
        const text = prepared === undefined ? null : JSON.stringify(prepared);
        this.#progress.run(JSON.stringify(status), text, id);
      }
    });
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #transaction(synchronous: 'FULL' | 'NORMAL', work: () => void): void {
    this.#database.exec(`PRAGMA synchronous = ${synchronous}; BEGIN`);
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
