/** Random appends, crashes at any disk operation, faults: nothing that was acknowledged is lost. */
import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { AesCipher, aesKeyBytes } from './aes-cipher.ts';
import { LogError } from './errors.ts';
import { Log, type LogEntry } from './log.ts';
import { MemoryDisk, type CrashMode } from './memory-disk.ts';

const folder = '/log';
const segmentBytes = 2048;

type Step =
  | { readonly kind: 'append'; readonly sizes: readonly number[] }
  | { readonly kind: 'override'; readonly back: number; readonly size: number }
  | { readonly kind: 'state'; readonly size: number }
  | { readonly kind: 'compact' };

interface Round {
  /** Appends of one group are not waited for one by one. */
  readonly groups: readonly (readonly Step[])[];
  readonly operations: number;
  readonly mode: CrashMode;
  readonly syncFails: boolean;
  /** The group, if there is one of that number, that finds the disk full. */
  readonly fullAt: number;
}

const size = fc.integer({ min: 0, max: 900 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append'), sizes: fc.array(size) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('override'), back: fc.nat(3), size }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('state'), size }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact') }) },
) as fc.Arbitrary<Step>;
const round: fc.Arbitrary<Round> = fc.record({
  groups: fc.array(fc.array(step, { maxLength: 5 }), { maxLength: 12 }),
  operations: fc.integer({ min: 0, max: 160 }),
  mode: fc.constantFrom('keep', 'lose', 'prefix', 'sectors'),
  syncFails: fc.boolean(),
  fullAt: fc.nat(15),
});

/** What must be found after a crash: what was acknowledged, unless something newer was begun. */
class Model {
  /** By index, every payload that may stand there: the acknowledged one and what came later. */
  readonly begun = new Map<number, string[]>();
  readonly acknowledged = new Map<number, string>();
  readonly states: string[] = [''];
  acknowledgedState = '';
  /** Where appends that were not acknowledged yet begin: they may have cut off what follows. */
  readonly pending = new Set<{ readonly from: number }>();
  acknowledgedLast = 0;
  compactedTo = 0;
  #serial = 0;

  payload(length: number): string {
    this.#serial += 1;
    return `${this.#serial}:`.padEnd(length, 'p');
  }

  async run(log: Log, one: Step): Promise<void> {
    if (one.kind === 'compact') {
      // What an append under way may override is not committed yet.
      const froms = [...this.pending].map(({ from }) => from - 1);
      const upTo = Math.min(log.durableIndex - 3, ...froms);
      this.compactedTo = Math.max(this.compactedTo, upTo);
      await log.compact(upTo);
      return;
    }
    if (one.kind === 'state') {
      const state = this.payload(one.size);
      this.states.push(state);
      await log.saveState(Buffer.from(state));
      this.acknowledgedState = state;
      return;
    }
    const sizes = one.kind === 'append' ? one.sizes : [one.size];
    const back = one.kind === 'append' ? 0 : one.back;
    // What compaction was asked to forget is never overridden (Raft: it is committed).
    const from = Math.max(log.lastIndex + 1 - back, this.compactedTo + 1, 1);
    const entries = sizes.map((length, offset): LogEntry => {
      return { index: from + offset, term: 1, type: 0, data: Buffer.from(this.payload(length)) };
    });
    if (entries.length === 0) return;
    for (const { index, data } of entries) {
      this.begun.set(index, [...(this.begun.get(index) ?? []), text(data)]);
    }
    const begun = { from };
    this.pending.add(begun);
    await log.append(entries);
    this.pending.delete(begun);
    for (const index of this.acknowledged.keys()) {
      if (index >= from) this.acknowledged.delete(index);
    }
    for (const { index, data } of entries) this.acknowledged.set(index, text(data));
    this.acknowledgedLast = from + entries.length - 1;
  }

  async check(log: Log): Promise<void> {
    const froms = [...this.pending].map(({ from }) => from);
    const lastAtLeast = Math.min(this.acknowledgedLast, ...froms);
    assert.ok(log.lastIndex >= lastAtLeast, `ends at ${log.lastIndex}, before ${lastAtLeast}`);
    assert.ok(log.firstIndex <= this.compactedTo + 1, `begins at ${log.firstIndex}`);
    const state = text(log.state ?? new Uint8Array());
    const sinceState = this.states.slice(this.states.indexOf(this.acknowledgedState));
    assert.ok(sinceState.includes(state), `state ${state}`);
    const found = new Map<number, string>();
    for (let from = log.firstIndex; from <= log.lastIndex;) {
      const entries = await log.read(from, log.lastIndex);
      for (const { index, data } of entries) found.set(index, text(data));
      from += entries.length;
    }
    for (const [index, payload] of found) {
      const all = this.begun.get(index) ?? [];
      const acknowledged = this.acknowledged.get(index);
      const allowed = acknowledged === undefined ? all : all.slice(all.indexOf(acknowledged));
      assert.ok(
        allowed.includes(payload),
        `entry ${index} is ${payload}, not of ${allowed.join()}`,
      );
    }
    this.begun.clear();
    this.acknowledged.clear();
    for (const [index, payload] of found) {
      this.begun.set(index, [payload]);
      this.acknowledged.set(index, payload);
    }
    this.states.splice(0, Infinity, state);
    this.acknowledgedState = state;
    this.pending.clear();
    this.acknowledgedLast = log.lastIndex;
  }
}

const text = (data: Uint8Array) => Buffer.from(data).toString();

describe('Log, whatever happens', () => {
  for (const encrypted of [false, true]) {
    const how = encrypted ? ', encrypted with keys that change' : '';
    it(`loses nothing that it acknowledged, and keeps the order${how}`, async function () {
      this.timeout(180_000);
      assert.ok((await crashesOf(encrypted)) > 300);
    });
  }
});

/** How many of the runs ended in a crash; throws when one of them has lost anything. */
async function crashesOf(encrypted: boolean): Promise<number> {
  let crashes = 0;
  const property = fc.asyncProperty(
    fc.array(round, { minLength: 1, maxLength: 6 }),
    fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
    async (rounds, randoms) => {
      const random = () => randoms.next().value ?? 0;
      const model = new Model();
      let disk = new MemoryDisk();
      let keys = 0;
      const newKey = () => Buffer.alloc(aesKeyBytes, (keys += 1));
      const cipher = new AesCipher([newKey()]);
      for (const one of rounds) {
        const { operations, mode } = one;
        disk.operationsLeft = operations;
        const given = encrypted ? { cipher } : {};
        if (await runUntilCrash(disk, model, one, given)) crashes += 1;
        disk = disk.crash(mode, random);
        const log = await Log.open({ folder, disk, segmentBytes, ...given });
        await model.check(log);
        // Not closed: the next round begins as after another kill.
        disk = disk.crash('keep', random);
        if (random() < 0.3) cipher.use(newKey());
      }
    },
  );
  await fc.assert(property, { numRuns: 300, seed: 20_261_121 });
  return crashes;
}

/** Returns whether the disk was cut off before all was done. */
async function runUntilCrash(
  disk: MemoryDisk,
  model: Model,
  { groups, syncFails, fullAt }: Round,
  given: { cipher?: AesCipher },
): Promise<boolean> {
  try {
    const log = await Log.open({ folder, disk, segmentBytes, ...given });
    for (const [position, group] of groups.entries()) {
      if (syncFails && position === groups.length - 1) disk.failNext('sync', 'EIO');
      if (position === fullAt) disk.failNext('write', 'ENOSPC');
      const results = await Promise.allSettled(group.map((one) => model.run(log, one)));
      for (const result of results) {
        if (result.status === 'fulfilled' || isFull(result.reason)) continue;
        throw result.reason;
      }
    }
    return false;
  } catch (error) {
    if (error instanceof LogError && error.code === 'failed') return true;
    if (error instanceof Error && 'code' in error && error.code === 'EIO') return true;
    throw error;
  }
}

function isFull(error: unknown): boolean {
  return error instanceof LogError && error.code === 'full';
}

describe('Log with one byte changed', () => {
  it('refuses to open, or holds all that was acknowledged', async () => {
    const disk = new MemoryDisk();
    const log = await Log.open({ folder, disk, segmentBytes });
    const entries: string[] = [];
    for (let index = 1; index <= 12; index++) {
      const data = Buffer.from(`${index}:`.padEnd(100 * (index % 5) + 10, 'q'));
      entries.push(text(data));
      await log.append([{ index, term: 1, type: 0, data }]);
    }
    const files = ['/log/0000000000000001.wal', '/log/0000000000000002.wal'];
    let refused = 0;
    for (const path of files) {
      const { length } = disk.bytesOf(path);
      for (let at = 0; at < length; at += 3) {
        const copy = disk.crash('lose', () => 0);
        copy.bytesOf(path)[at]! ^= 1 << (at % 8);
        try {
          const damaged = await Log.open({ folder, disk: copy, segmentBytes });
          const found = await damaged.read(1, damaged.lastIndex, { maxBytes: segmentBytes });
          for (let from = found.length + 1; from <= damaged.lastIndex;) {
            const more = await damaged.read(from, damaged.lastIndex, { maxBytes: segmentBytes });
            found.push(...more);
            from += more.length;
          }
          assert.deepEqual(
            found.map(({ data }) => text(data)),
            entries,
            `${path} at ${at}`,
          );
        } catch (error) {
          assert.ok(error instanceof LogError && error.code === 'corrupt', String(error));
          assert.equal(error.path, path);
          assert.ok((error.offset ?? Infinity) <= at, `byte ${error.offset} for a change at ${at}`);
          refused += 1;
        }
      }
    }
    assert.ok(refused > 500, `${refused} refused`);
  });
});
