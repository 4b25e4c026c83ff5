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

interface OwedObject {
  readonly type: string;
  readonly id: string;
  /** Absent: it is gone. */
  readonly text: string | undefined;
}

export interface Progress {
  readonly status: TaskStatus;
  readonly prepared: PreparedTask | undefined;
}

/**
 * Assignments are synced to the disk before they count as taken, unless it is full or broken: then
 * they are kept in mind, and written with what is written next. Progress is not synced: what it
 * says is found out again from the containers themselves.
 */
export class LocalCopy implements Disposable {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #progress: StatementSync;
  readonly #delete: StatementSync;
  readonly #putNetwork: StatementSync;
  readonly #deleteNetwork: StatementSync;
  readonly #clearNetworks: StatementSync;
  /** What could not be written: assignments as they are stored, nothing for those taken away. */
  readonly #owedTasks = new Map<string, string | undefined>();
  /** The same of networks, by type and id. */
  readonly #owedNetworks = new Map<string, OwedObject>();
  /** Of networks, nothing that is stored is true any more. */
  #owesNetworks = false;

  constructor(folder: string, open = (path: string) => new DatabaseSync(path)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'tasks.db');
    this.path = path;
    this.#database = open(path);
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
    this.#clearNetworks = this.#database.prepare('DELETE FROM network_object');
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

  /** Something that was assigned is not on the disk yet; `save` tries again. */
  get isBehind(): boolean {
    return this.#owedTasks.size > 0 || this.#owedNetworks.size > 0 || this.#owesNetworks;
  }

  /** Not synced: what a crash of the host loses is said again by the managers. */
  assignNetworks({ complete, update, remove }: NetworkAssignments): void {
    if (!complete && update.length === 0 && remove.length === 0) return;
    if (complete) {
      this.#owedNetworks.clear();
      this.#owesNetworks = true;
    }
    const owe = (type: string, id: string, text?: string) =>
      this.#owedNetworks.set(`${type} ${id}`, { type, id, text });
    for (const { type, object } of update) owe(type, object.id, JSON.stringify(object));
    for (const { type, id } of remove) owe(type, id);
    this.#transaction('NORMAL');
  }

  /** Durable when it returns. */
  assign(update: readonly AssignedTask[], remove: readonly string[]): void {
    if (update.length === 0 && remove.length === 0) return;
    for (const task of update) this.#owedTasks.set(task.id, JSON.stringify(task));
    for (const id of remove) this.#owedTasks.set(id, undefined);
    this.#transaction('FULL');
  }

  save(progress: ReadonlyMap<string, Progress>): void {
    if (progress.size === 0 && !this.isBehind) return;
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

  /** Writes what is owed, and then whatever `work` does. */
  #transaction(synchronous: 'FULL' | 'NORMAL', work?: () => void): void {
    this.#database.exec(`PRAGMA synchronous = ${synchronous}; BEGIN`);
    try {
      this.#writeOwed();
      work?.();
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk has ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
    this.#owedTasks.clear();
    this.#owedNetworks.clear();
    this.#owesNetworks = false;
  }

  #writeOwed(): void {
    for (const [id, assignment] of this.#owedTasks) {
      if (assignment === undefined) this.#delete.run(id);
      else this.#put.run(id, assignment);
    }
    if (this.#owesNetworks) this.#clearNetworks.run();
    for (const { type, id, text } of this.#owedNetworks.values()) {
      if (text === undefined) this.#deleteNetwork.run(type, id);
      else this.#putNetwork.run(type, id, text);
    }
  }
}
