import { strict as assert } from 'node:assert';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { StatSchema } from '../../../gen/buildkit/fsutil_pb.js';
import { isErrorCode } from '../../runtime/testing/errors.ts';
import { FileEntries } from './file-entries.ts';

type Sent = MessageInitShape<typeof StatSchema>;

const folder = 0x8000_01ed;
const symlink = 0x0800_01ff;
const limits = { maxEntries: 4, maxBytes: 100 };
const read = (...all: readonly Sent[]) => {
  const entries = new FileEntries(limits);
  return all.map((stat) => entries.add(create(StatSchema, { mode: 0o644, ...stat }))).at(-1);
};

describe('the files that a client says it has', () => {
  it('are read with their modes and links', () => {
    assert.deepEqual(read({ path: 'd', mode: folder }, { path: 'd/f', modTime: 5_500_000_000n }), {
      path: 'd/f',
      kind: 'file',
      permissions: 0o644,
      modTimeSec: 5,
    });
    const special = 0x00d0_01ed;
    assert.equal(read({ path: 'f', mode: special })?.permissions, 0o7755);
    const link = read({ path: 'l', mode: symlink, linkname: '/etc/passwd' });
    assert.deepEqual(
      [link?.kind, link?.kind === 'symlink' && link.target],
      ['symlink', '/etc/passwd'],
    );
    assert.equal(read({ path: 'f' }, { path: 'g', linkname: 'f' })?.kind, 'hard-link');
    for (const mode of [0x0400_01b6, 0x0420_01b6, 0x0200_01b6, 0x0100_01b6]) {
      assert.equal(read({ path: 'f', mode })?.kind, 'other', mode.toString(16));
    }
  });

  const hostile: readonly { name: string; sent: readonly Sent[]; says: RegExp }[] = [
    { name: 'a way out', sent: [{ path: '../f' }], says: /no path within a folder/ },
    {
      name: 'a way out further down',
      sent: [{ path: 'd', mode: folder }, { path: 'd/../../f' }],
      says: /no path within a folder/,
    },
    { name: 'an absolute path', sent: [{ path: '/etc/f' }], says: /no path within a folder/ },
    { name: 'nothing', sent: [{ path: '' }], says: /no path within a folder/ },
    { name: 'the folder itself', sent: [{ path: '.' }], says: /no path within a folder/ },
    { name: 'a zero byte', sent: [{ path: 'a\0b' }], says: /no path within a folder/ },
    { name: 'a long name', sent: [{ path: 'x'.repeat(256) }], says: /no path within a folder/ },
    { name: 'a long path', sent: [{ path: 'x/'.repeat(2100) }], says: /no path within a folder/ },
    { name: 'the same twice', sent: [{ path: 'f' }, { path: 'f' }], says: /sent twice/ },
    { name: 'a parent that was not sent', sent: [{ path: 'd/f' }], says: /in no folder/ },
    {
      name: 'a parent that is a link',
      sent: [{ path: 'd', mode: symlink, linkname: '/etc' }, { path: 'd/f' }],
      says: /in no folder/,
    },
    {
      name: 'a parent that is a file',
      sent: [{ path: 'd' }, { path: 'd/f' }],
      says: /in no folder/,
    },
    {
      name: 'a hard link out of the folder',
      sent: [{ path: 'f', linkname: '../../etc/shadow' }],
      says: /linked to a file that was not sent/,
    },
    {
      name: 'a hard link to a symlink',
      sent: [
        { path: 'l', mode: symlink, linkname: '/etc/shadow' },
        { path: 'f', linkname: 'l' },
      ],
      says: /linked to a file that was not sent/,
    },
    { name: 'a link to nothing', sent: [{ path: 'l', mode: symlink }], says: /points nowhere/ },
    {
      name: 'too much',
      sent: [
        { path: 'f', size: 99n },
        { path: 'g', size: 2n },
      ],
      says: /larger than/,
    },
    {
      name: 'too many',
      sent: ['a', 'b', 'c', 'd', 'e'].map((path) => ({ path })),
      says: /larger than 100 bytes in 4 files/,
    },
  ];
  for (const { name, sent, says } of hostile) {
    it(`are refused: ${name}`, () => {
      assert.throws(() => read(...sent), isErrorCode('invalid-argument', says));
    });
  }

  it('take no room by a size below nothing', () => {
    const sent = [
      { path: 'f', size: -1_000n },
      { path: 'g', size: 101n },
    ];
    assert.throws(() => read(...sent), isErrorCode('invalid-argument', /larger than/));
  });
});
