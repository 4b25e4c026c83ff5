/** What every StoreLog does, whatever it stands on: the same suite for each. */
import { strict as assert } from 'node:assert';
import type { DocumentMachine, KeyedDocument, StoreLog } from '../../manager/store/log.ts';

/** Where a log keeps its things: opened again, it shows what a restart would. */
interface LogHome extends AsyncDisposable {
  open(options: { snapshotEntries?: number; maxPending?: number }): StoreLog;
}

/** A list of the texts that were applied. "!" is refused as a conflict. */
class Journal implements DocumentMachine {
  texts: string[] = [];
  index = 0;
  restoredAt = 0;

  apply(index: number, entry: Uint8Array) {
    // A log may use indexes for entries of its own.
    assert.ok(index > this.index, 'entries come in order');
    this.index = index;
    const text = Buffer.from(entry).toString();
    if (text.startsWith('!')) return { index, applied: false, conflict: text } as const;
    this.texts.push(text);
    return { index, applied: true } as const;
  }

  snapshot(): Uint8Array {
    return Buffer.concat([...this.snapshotParts()]);
  }

  snapshotParts(): Iterable<Uint8Array> {
    const captured = [...this.texts];
    return captured.map((text, position) => Buffer.from(position === 0 ? text : `,${text}`));
  }

  preview(_firstIndex: number, entries: readonly Uint8Array[]): Map<string, string> {
    const added = entries.map((entry) => Buffer.from(entry).toString());
    const texts = [...this.texts, ...added.filter((text) => !text.startsWith('!'))];
    return new Map(keyed(texts).slice(this.texts.length));
  }

  documents(): KeyedDocument[] {
    return keyed(this.texts);
  }

  snapshotOf(documents: Iterable<KeyedDocument>): Uint8Array {
    const sorted = [...documents].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Buffer.from(sorted.map(([, text]) => text).join(','));
  }

  restore(index: number, snapshot: Uint8Array): void {
    const text = Buffer.from(snapshot).toString();
    this.texts = text === '' ? [] : text.split(',');
    this.index = index;
    this.restoredAt = index;
  }
}

function keyed(texts: readonly string[]): KeyedDocument[] {
  return texts.map((text, position) => [`text/${String(position).padStart(9, '0')}`, text]);
}

async function openOn(log: StoreLog): Promise<Journal> {
  const journal = new Journal();
  await log.open(journal);
  return journal;
}

export function describeStoreLog(name: string, makeHome: () => Promise<LogHome>): void {
  describe(`${name} as a StoreLog`, () => {
    it('applies proposals in the order of the calls, and returns what apply did', async () => {
      await using home = await makeHome();
      await using log = home.open({});
      const journal = await openOn(log);
      const texts = Array.from({ length: 50 }, (_, i) => (i % 10 === 3 ? `!${i}` : `${i}`));
      const settled: number[] = [];
      const results = await Promise.all(
        texts.map(async (text) => {
          const result = await log.propose(Buffer.from(text));
          settled.push(result.index);
          assert.ok(journal.index >= result.index, 'applied before it resolves');
          return result;
        }),
      );
      assert.deepEqual(
        journal.texts,
        texts.filter((text) => !text.startsWith('!')),
      );
      assert.deepEqual(
        settled,
        results.map(({ index }) => index),
      );
      const refused = results[3];
      assert.deepEqual(refused, { index: refused?.index, applied: false, conflict: '!3' });
      await log.barrier();
    });

    it('replays everything after a restart, from a snapshot where there is one', async () => {
      await using home = await makeHome();
      const expected: string[] = [];
      let restoredAt = 0;
      for (let round = 0; round < 4; round++) {
        await using log = home.open({ snapshotEntries: 7 });
        const journal = await openOn(log);
        assert.deepEqual(journal.texts, expected, `round ${round}`);
        ({ restoredAt } = journal);
        for (let i = 0; i < 10; i++) {
          expected.push(`${round}-${i}`);
          await log.propose(Buffer.from(`${round}-${i}`));
        }
      }
      assert.ok(restoredAt >= 7, `restored a snapshot at ${restoredAt}`);
    });

    it('leads once it is open, and says so', async () => {
      await using home = await makeHome();
      const log = home.open({});
      const heard: boolean[] = [];
      assert.equal(log.isLeader, false);
      await assert.rejects(log.propose(Buffer.from('early')), { code: 'unavailable' });
      const listening = log.onLeadership((leads) => heard.push(leads));
      await openOn(log);
      assert.equal(log.isLeader, true);
      await log[Symbol.asyncDispose]();
      assert.deepEqual(heard, [false, true, false]);
      listening[Symbol.dispose]();
      await assert.rejects(log.propose(Buffer.from('late')), { code: 'unavailable' });
      await assert.rejects(async () => log.barrier(), { code: 'unavailable' });
    });

    it('refuses more proposals than may wait, and goes on', async () => {
      await using home = await makeHome();
      await using log = home.open({ maxPending: 3 });
      const journal = await openOn(log);
      const results = await Promise.allSettled(
        ['a', 'b', 'c', 'd'].map((text) => log.propose(Buffer.from(text))),
      );
      const codes = results.map((result) =>
        result.status === 'rejected' ? (result.reason as { code: string }).code : 'ok',
      );
      assert.deepEqual(codes, ['ok', 'ok', 'ok', 'resource-exhausted']);
      await log.propose(Buffer.from('e'));
      assert.deepEqual(journal.texts, ['a', 'b', 'c', 'e']);
    });
  });
}
