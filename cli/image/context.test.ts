import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar-stream';
import { dockerfileContext, folderContext, type BuildContext } from './context.ts';

async function filesOf({ archive }: BuildContext): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const reader = extract();
  const feed = async () => {
    for await (const chunk of archive) reader.write(chunk as Buffer);
    reader.end(null);
  };
  const fed = feed();
  for await (const entry of reader) {
    const { linkname, name, type } = entry.header;
    let content = '';
    for await (const chunk of entry as AsyncIterable<Buffer>) content += chunk.toString();
    files[name] = type === 'symlink' ? `-> ${linkname}` : content;
  }
  await fed;
  return files;
}

describe('the context of a build', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'build-context-'));
    writeFileSync(join(folder, 'Dockerfile'), 'FROM a\n');
    mkdirSync(join(folder, 'deep/er'), { recursive: true });
    writeFileSync(join(folder, 'deep/keep'), 'kept');
    writeFileSync(join(folder, 'deep/drop'), 'dropped');
    writeFileSync(join(folder, 'deep/er/file'), 'x'.repeat(200_000));
    writeFileSync(join(folder, 'empty'), '');
    symlinkSync('deep/keep', join(folder, 'link'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('has every file, link and folder', async () => {
    const files = await filesOf(await folderContext(folder, undefined));
    assert.deepEqual(Object.keys(files).toSorted(), [
      'Dockerfile',
      'deep/',
      'deep/drop',
      'deep/er/',
      'deep/er/file',
      'deep/keep',
      'empty',
      'link',
    ]);
    assert.equal(files['link'], '-> deep/keep');
    assert.equal(files['deep/er/file']?.length, 200_000);
  });

  it('leaves out what .dockerignore says, but never what the daemon needs', async () => {
    writeFileSync(join(folder, '.dockerignore'), '*\n!deep/keep\n');
    const files = await filesOf(await folderContext(folder, undefined));
    assert.deepEqual(Object.keys(files).toSorted(), ['.dockerignore', 'Dockerfile', 'deep/keep']);
  });

  it('takes a Dockerfile from elsewhere, or from standard input, along', async () => {
    const context = await folderContext(join(folder, 'deep'), join(folder, 'Dockerfile'));
    assert.equal((await filesOf(context))[context.dockerfile], 'FROM a\n');
    const piped = await folderContext(folder, undefined, Buffer.from('FROM b\n'));
    assert.equal((await filesOf(piped))[piped.dockerfile], 'FROM b\n');
    const alone = dockerfileContext(Buffer.from('FROM c\n'));
    assert.deepEqual(await filesOf(alone), { Dockerfile: 'FROM c\n' });
  });

  it('says what is missing', async () => {
    await assert.rejects(folderContext(join(folder, 'nope'), undefined), /path ".*nope"/);
    await assert.rejects(folderContext(join(folder, 'empty'), undefined), /must be a directory/);
    await assert.rejects(folderContext(folder, join(folder, 'D2')), /Dockerfile path: ENOENT/);
  });
});
