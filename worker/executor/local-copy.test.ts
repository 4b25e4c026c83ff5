import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LocalCopy } from './local-copy.ts';
import { assignedTask } from './testing/fakes.ts';

describe('the local copy of assignments', () => {
  let folder: string;
  let database: DatabaseSync;
  let copy: LocalCopy;
  const open = () =>
    (copy = new LocalCopy(folder, (path) => {
      database = new DatabaseSync(path);
      return database;
    }));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-copy-'));
    open();
  });
  afterEach(() => {
    copy[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  /** As on a disk that is full: the database may not grow. */
  const fill = () => {
    const { page_count: pages } = database.prepare('PRAGMA page_count').get() as {
      page_count: number;
    };
    database.exec(`PRAGMA max_page_count = ${pages}`);
  };
  const giveRoom = () => database.exec('PRAGMA max_page_count = 100000');
  const large = Array.from({ length: 50 }, (_, index) => assignedTask(index + 2));
  const ids = () => copy.load().map(({ task }) => task.id);
  const idsOf = (tasks: readonly { id: string }[]) => tasks.map(({ id }) => id).toSorted();

  it('says that the disk is full, and writes what it owes once there is room', () => {
    const [first, second] = [assignedTask(1), assignedTask(100)];
    copy.assign([first], []);
    fill();
    assert.throws(() => copy.assign(large, [first.id]), /full/);
    assert.ok(copy.isBehind);
    assert.deepEqual(ids(), [first.id]);
    assert.throws(() => copy.save(new Map()), /full/);

    giveRoom();
    copy.assign([second], [large[0]!.id]);
    assert.ok(!copy.isBehind);
    assert.deepEqual(ids(), idsOf([...large.slice(1), second]));
  });

  it('owes of networks what was said last', () => {
    const network = (id: string, name: string) =>
      ({ type: 'network', object: { id, name: name.padEnd(20_000, '-') } }) as never;
    copy.assignNetworks({ complete: true, update: [network('a', 'old')], remove: [] });
    fill();
    const full = { complete: true, update: [network('b', 'new'), network('c', 'new')], remove: [] };
    assert.throws(() => copy.assignNetworks(full), /full/);
    const more = { complete: false, update: [], remove: [{ type: 'network', id: 'b' } as never] };
    assert.throws(() => copy.assignNetworks({ ...more, update: [network('d', 'new')] }), /full/);
    giveRoom();
    copy.save(new Map());
    assert.ok(!copy.isBehind);
    const stored = copy.loadNetworks().update.map(({ object }) => object.id);
    assert.deepEqual(stored.toSorted(), ['c', 'd']);
  });
});
