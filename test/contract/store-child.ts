/** Proposes without end, sixteen at a time, and prints each acknowledged index: to be killed. */
import { writeSync } from 'node:fs';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { EtcdLog, Store, type StoreLog } from '../../manager/store/index.ts';
import { makeNode } from '../../manager/store/testing.ts';
import { openRaftLog } from './raft-log.ts';

const [, , name = '', folder = ''] = process.argv;
const options = { segmentBytes: 256 << 10, snapshotEntries: 300 };
const logs: Readonly<Record<string, () => StoreLog>> = {
  EtcdLog: () =>
    new EtcdLog(
      { id: 'manager1', store: { url: folder }, bootstrap: false },
      { clock: realClock, log: silentLogger },
    ),
  RaftLog: () => openRaftLog(folder, options),
};
const log = logs[name]?.();
if (log === undefined) throw new Error(`unknown log "${name}"`);
const store = new Store(log);
await store.open();
let serial = 0;

async function proposeForever(): Promise<never> {
  for (;;) {
    serial += 1;
    const object = makeNode(`${process.pid}.${serial}`);
    const { index } = await store.propose([{ op: 'put', table: 'node', object, base: 0 }], {
      atMs: serial,
    });
    writeSync(1, `${index}.\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, proposeForever));
