import { strict as assert } from 'node:assert';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, type Header } from 'tar-stream';
import { isErrorCode } from '../../runtime/testing/errors.ts';
import { changesOf } from './changes.ts';
import { packed } from './pack.ts';
import { locate } from './root.ts';
import { unpack } from './unpack.ts';

describe('files of containers', () => {
  let host: string;
  let root: string;

  beforeEach(() => {
    host = mkdtempSync(join(tmpdir(), 'ts-swarm-root-'));
    root = join(host, 'root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    mkdirSync(join(root, 'data/deep'), { recursive: true });
    writeFileSync(join(root, 'etc/passwd'), 'of the container');
    writeFileSync(join(host, 'secret'), 'of the host');
    symlinkSync('/etc', join(root, 'abs'));
    symlinkSync('../../../..', join(root, 'data/up'));
    symlinkSync(join(host, 'secret'), join(root, 'data/out'));
    symlinkSync('loop', join(root, 'loop'));
  });
  afterEach(() => rmSync(host, { recursive: true }));

  const pathOf = async (path: string, followLast = true) => {
    await using located = await locate(root, path, { followLast });
    return [located.path, located.stat !== undefined];
  };

  const ways: [string, string, boolean][] = [
    ['/etc/passwd', '/etc/passwd', true],
    ['abs/passwd', '/etc/passwd', true],
    ['/data/up/etc/passwd', '/etc/passwd', true],
    ['/../../etc/./passwd', '/etc/passwd', true],
    ['/data/up/../../..', '/', true],
    ['/data/nothing', '/data/nothing', false],
    ['/', '/', true],
  ];
  for (const [path, expected, exists] of ways) {
    it(`${path} leads to ${expected}`, async () => {
      assert.deepEqual(await pathOf(path), [expected, exists]);
    });
  }

  it('are never those of the host, whatever a link says', async () => {
    await assert.rejects(pathOf('/data/out'), isErrorCode('not-found'));
    assert.deepEqual(await pathOf('/data/out', false), ['/data/out', true]);
    await assert.rejects(pathOf('/loop'), isErrorCode('invalid-argument', /too many links/));
    await assert.rejects(pathOf('/etc/passwd/x'), isErrorCode('not-found', /not a directory/));
    await assert.rejects(pathOf('/nowhere/x'), isErrorCode('not-found'));
  });

  it('are packed however large, and leave no listeners behind', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => warnings.push(name);
    process.on('warning', note);
    try {
      truncateSync(join(root, 'etc/passwd'), 4 * 1024 * 1024);
      await using located = await locate(root, '/etc');
      let bytes = 0;
      for await (const chunk of packed(located, { name: 'etc' })) bytes += chunk.length;
      assert.ok(bytes > 4 * 1024 * 1024);
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('warning', note);
    }
    assert.deepEqual(warnings, []);
  });

  it('are packed with their links, and only they', async () => {
    const names: string[] = [];
    const { extract } = await import('tar-stream');
    const reader = extract();
    await using located = await locate(root, '/data');
    const read = (async () => {
      for await (const entry of reader) {
        const { name, type, linkname } = entry.header;
        names.push([name, type, linkname].filter(Boolean).join(' '));
        entry.resume();
      }
    })();
    for await (const chunk of packed(located, { name: 'data' })) reader.write(chunk);
    reader.end(null);
    await read;
    assert.deepEqual(names, [
      'data/ directory',
      'data/deep/ directory',
      `data/out symlink ${join(host, 'secret')}`,
      'data/up symlink ../../../..',
    ]);
  });

  async function* tar(
    ...entries: readonly (Partial<Header> & { name: string; text?: string })[]
  ): AsyncGenerator<Uint8Array> {
    const out = pack();
    for (const { text, ...header } of entries) {
      if (text === undefined) out.entry(header);
      else out.entry(header, text);
    }
    out.finalize();
    for await (const chunk of out) yield chunk as Uint8Array;
  }
  const options = { keepsKinds: false };

  it('are unpacked where they belong, with their modes', async () => {
    const entries = tar(
      { name: 'new/', type: 'directory', mode: 0o750 },
      { name: 'new/file', mode: 0o4755, text: 'content' },
      { name: 'new/link', type: 'symlink', linkname: 'file' },
      { name: 'new/hard', type: 'link', linkname: 'new/file' },
      { name: 'made/on/the/way', text: 'x' },
    );
    await unpack(root, '/data', entries, options);
    assert.equal(readFileSync(join(root, 'data/new/link'), 'utf8'), 'content');
    assert.equal(readFileSync(join(root, 'data/new/hard'), 'utf8'), 'content');
    assert.equal(statSync(join(root, 'data/new')).mode & 0o7777, 0o750);
    assert.equal(statSync(join(root, 'data/new/file')).mode & 0o7777, 0o4755);
    assert.ok(existsSync(join(root, 'data/made/on/the/way')));
  });

  it('of an archive that means to break out stay inside', async () => {
    await unpack(
      root,
      '',
      tar(
        { name: 'data/out', text: 'replaced' },
        { name: 'trap', type: 'symlink', linkname: host },
        { name: 'abs/shadow', text: 'inside' },
      ),
      options,
    );
    assert.equal(readFileSync(join(host, 'secret'), 'utf8'), 'of the host');
    assert.equal(readFileSync(join(root, 'data/out'), 'utf8'), 'replaced');
    assert.equal(readFileSync(join(root, 'etc/shadow'), 'utf8'), 'inside');
    // Through the link, as the container would see it: below its own root.
    await assert.rejects(
      unpack(root, '', tar({ name: 'trap/secret', text: 'mine' }), options),
      isErrorCode('not-found'),
    );
    assert.equal(readFileSync(join(host, 'secret'), 'utf8'), 'of the host');
    await assert.rejects(
      unpack(root, '', tar({ name: '../secret', text: 'mine' }), options),
      isErrorCode('invalid-argument', /leads out of it/),
    );
    await assert.rejects(
      unpack(root, '', tar({ name: 'x', type: 'link', linkname: '../secret' }), options),
    );
  });

  it('keep their kinds where that is asked', async () => {
    const keeps = { keepsKinds: true };
    await assert.rejects(
      unpack(root, '', tar({ name: 'data', text: 'x' }), keeps),
      isErrorCode('invalid-argument', /cannot overwrite directory "\/data" with non-directory/),
    );
    await assert.rejects(
      unpack(root, '', tar({ name: 'etc/passwd', type: 'directory' }), keeps),
      isErrorCode('invalid-argument', /cannot overwrite non-directory/),
    );
  });

  it('that changed are told from the image’s', async () => {
    const [upper, lower] = [join(host, 'upper'), join(host, 'lower')];
    for (const folder of [upper, lower]) mkdirSync(join(folder, 'etc'), { recursive: true });
    mkdirSync(join(lower, 'same'));
    mkdirSync(join(upper, 'same'));
    mkdirSync(join(upper, 'proc'));
    writeFileSync(join(lower, 'etc/old'), 'x');
    writeFileSync(join(upper, 'etc/old'), 'y');
    writeFileSync(join(upper, 'etc/new'), 'y');
    writeFileSync(join(upper, 'etc/hosts'), '');
    const mounts = [
      {
        type: 'overlay',
        source: 'overlay',
        options: [`workdir=${host}/w`, `upperdir=${upper}`, `lowerdir=${lower}`],
      },
    ];
    const kinds = ['C', 'A', 'D'];
    const changes = await changesOf(mounts);
    assert.deepEqual(
      changes.map(({ path, kind }) => `${kinds[kind]} ${path}`),
      ['C /etc', 'A /etc/new', 'C /etc/old'],
    );
  });

  it('that cannot be read fail the archive, and nothing else', async () => {
    // The loopback link has no speed to tell, whatever the size of its file says.
    await using located = await locate('/sys', '/devices/virtual/net/lo/speed');
    await assert.rejects(async () => {
      for await (const _chunk of packed(located, { name: 'speed' }));
    }, /EINVAL/);
  });
});
