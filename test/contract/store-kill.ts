/** A process that proposes is killed again and again: whatever it acknowledged must be there. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { seededRandom } from '../../lib/random.ts';
import { Store, type StoreLog } from '../../manager/store/index.ts';

const rounds = 20;

/** `name` is also what the child process calls the log; see store-child.ts. */
export function describeKills(
  name: string,
  openLog: (home: string) => StoreLog,
  makeHome = () => mkdtemp(join(tmpdir(), 'store-kill-')),
): void {
  describe(`${name} in a process that is killed`, () => {
    it('loses nothing that it acknowledged', async function () {
      this.timeout(120_000);
      const folder = await makeHome();
      const random = seededRandom(4);
      let present = new Set<number>();
      let withProgress = 0;
      try {
        for (let round = 0; round < rounds; round++) {
          const acknowledged = await proposeUntilKilled(name, folder, random.integer(120));
          if (acknowledged.size > 0) withProgress += 1;
          await using store = new Store(openLog(folder));
          await store.open();
          const versions = new Set([...store.nodes()].map((node) => node.meta.version));
          const lost = [...present.union(acknowledged).difference(versions)];
          assert.deepEqual(lost, [], `round ${round}`);
          assert.deepEqual(store.audit(), []);
          present = versions;
        }
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      assert.equal(withProgress, rounds);
      assert.ok(present.size > 1000, `${present.size} entries in all`);
    });
  });
}

/** Returns the indexes that the child said were acknowledged before it was killed. */
async function proposeUntilKilled(
  name: string,
  folder: string,
  afterLines: number,
): Promise<Set<number>> {
  const script = join(import.meta.dirname, 'store-child.ts');
  const child = spawn(process.execPath, [script, name, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged = new Set<number>();
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may have been cut off.
    if (line.endsWith('.')) acknowledged.add(Number(line.slice(0, -1)));
    if (acknowledged.size === afterLines + 1) child.kill('SIGKILL');
  }
  await ended;
  assert.equal(child.signalCode, 'SIGKILL', `the child ended by itself: ${child.exitCode}`);
  return acknowledged;
}
