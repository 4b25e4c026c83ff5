import { strict as assert } from 'node:assert';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRootCa, issueForSelf, type RootCa } from '../../manager/ca/index.ts';
import { realClock } from '../clock.ts';
import { loadIdentity, removeIdentity, saveIdentity } from './files.ts';

describe('an identity on disk', () => {
  let root: RootCa;
  let folder: string;
  const issue = () =>
    issueForSelf(root, { role: 'worker', clusterId: 'c' }, { lifeMs: undefined, clock: realClock });

  before(async () => {
    root = await createRootCa(realClock);
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'swarm-files-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is read as it was written, and gone once removed', async () => {
    assert.equal(await loadIdentity(folder), undefined);
    const material = await issue();
    await saveIdentity(folder, material);
    assert.deepEqual(await loadIdentity(folder), material);
    await removeIdentity(folder);
    assert.equal(await loadIdentity(folder), undefined);
    assert.deepEqual(await readdir(folder), []);
  });

  it('is whole wherever a renewal was cut off', async () => {
    const [before, after] = [await issue(), await issue()];
    await saveIdentity(folder, before);
    await writeFile(join(folder, 'node-next.key'), after.keyPem);
    assert.deepEqual(await loadIdentity(folder), before);
    await writeFile(join(folder, 'node.crt'), after.certPem);
    assert.deepEqual(await loadIdentity(folder), after);
    assert.deepEqual((await readdir(folder)).sort(), ['ca.crt', 'node.crt', 'node.key']);
  });

  it('is reported, with the file, where it is damaged', async () => {
    const damages: { file: string; text?: string; message: RegExp }[] = [
      { file: 'ca.crt', message: /ca\.crt is damaged: it is missing/ },
      { file: 'node.crt', text: 'garbage', message: /node\.crt is damaged/ },
      { file: 'node.key', text: 'garbage', message: /node\.key is damaged/ },
      { file: 'node.key', text: (await issue()).keyPem, message: /does not belong to node\.crt/ },
      {
        file: 'ca.crt',
        text: (await createRootCa(realClock)).certPem,
        message: /node\.crt is damaged: .*not issued by this swarm's root/,
      },
    ];
    for (const { file, text, message } of damages) {
      await saveIdentity(folder, await issue());
      if (text === undefined) await rename(join(folder, file), join(folder, 'away'));
      else await writeFile(join(folder, file), text);
      await assert.rejects(loadIdentity(folder), { code: 'failed-precondition', message });
    }
  });
});
