import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import type { DocumentMachine } from '../log.ts';
import type { EtcdClient } from './client.ts';
import { Feed } from './feed.ts';
import { keysBelow } from './record.ts';

/** Lets everything that can go on go on. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the feed of a store on etcd', () => {
  it('is followed again when the store comes back, however long it was away', async () => {
    const clock = new VirtualClock();
    let isAway = false;
    const broken: ((error: unknown) => void)[] = [];
    const client = {
      prefix: '/swarm',
      list: async () => {
        if (isAway) throw new SwarmError('unavailable', 'the store cannot be reached');
        return { kvs: [], revision: 1 };
      },
      watch: (_key: string, _revision: number, listener: { broken(error: unknown): void }) => {
        broken.push((error) => listener.broken(error));
        return { [Symbol.asyncDispose]: async () => undefined };
      },
    } as unknown as EtcdClient;
    const machine = {} as DocumentMachine;
    const parts = { client, keys: keysBelow('/swarm'), machine, clock, log: silentLogger };
    await using feed = new Feed(parts);
    await feed.open();
    isAway = true;
    broken[0]?.(new Error('the watch broke'));
    for (let attempt = 0; attempt < 5; attempt++) {
      clock.advance(1_000);
      await turn();
    }
    assert.equal(broken.length, 1);
    isAway = false;
    clock.advance(1_000);
    await turn();
    assert.equal(broken.length, 2, 'a new watch has begun');
  });
});
