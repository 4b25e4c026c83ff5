/** Proposes without end, sixteen at a time, and prints each acknowledged index: to be killed. */
import { writeSync } from 'node:fs';
import { silentLogger } from '../../lib/log.ts';
import { LocalLog } from '../../manager/store/local-log.ts';
import { Store } from '../../manager/store/store.ts';
import { makeNode } from '../../manager/store/testing.ts';

const [, , folder = ''] = process.argv;
const options = { folder, segmentBytes: 256 << 10, snapshotEntries: 300 };
const store = new Store(new LocalLog(options, { log: silentLogger }));
await store.open();
let serial = 0;

async function proposeForever(): Promise<never> {
  for (;;) {
    serial += 1;
    const object = makeNode(`${process.pid}.${serial}`);
    const { index } = await store.propose([{ op: 'put', table: 'node', object, base: 0 }], {
      atMs: serial,
    });
    writeSync(1, `${index}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, proposeForever));
