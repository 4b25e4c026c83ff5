import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mount } from '../../types/index.ts';
import { checkBindSources } from './bind-sources.ts';

const bind = (source: string, createMountpoint: boolean) =>
  [
    { type: 'bind', source, target: '/x', bindOptions: { createMountpoint } },
  ] as Partial<Mount>[] as Mount[];

describe('sources of bind mounts', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'binds-'));
  });

  afterEach(() => rmSync(root, { recursive: true }));

  it('are to be there', async () => {
    await checkBindSources(bind(root, false));
    await assert.rejects(checkBindSources(bind(join(root, 'none'), false)), /does not exist: /);
  });

  describe('that hand on what is mounted', () => {
    const none = { isShared: false, isSlave: false };
    const cases = [
      { asked: 'rslave', has: none, refused: 'shared or slave' },
      { asked: 'slave', has: { ...none, isSlave: true }, refused: undefined },
      { asked: 'rslave', has: { ...none, isShared: true }, refused: undefined },
      { asked: 'shared', has: none, refused: 'shared' },
      { asked: 'rshared', has: { ...none, isSlave: true }, refused: 'shared' },
      { asked: 'rshared', has: { ...none, isShared: true }, refused: undefined },
      { asked: 'rprivate', has: none, refused: undefined },
    ] as const;
    for (const { asked, has, refused } of cases) {
      const of = `${has.isShared ? 'shared' : has.isSlave ? 'slave' : 'private'} mount`;
      it(`${asked} of a ${of}: ${refused === undefined ? 'taken' : 'refused'}`, async () => {
        const [mount] = bind(root, false);
        const mounts = [{ ...mount!, bindOptions: { propagation: asked } }];
        const table = [
          { path: '/', isShared: !has.isShared, isSlave: false },
          { path: root, ...has },
        ];
        const check = checkBindSources(mounts, () => table);
        if (refused === undefined) return check;
        await assert.rejects(check, {
          message: `path ${root} is mounted on ${root} but it is not a ${refused} mount`,
        });
      });
    }
  });

  it('are made where that was asked for', async () => {
    const path = join(root, 'a/b');
    await checkBindSources(bind(path, true));
    assert.ok(statSync(path).isDirectory());
  });

  it('that cannot be made are named', async () => {
    await assert.rejects(checkBindSources(bind('/proc/nobody/makes/this', true)), {
      code: 'invalid-argument',
      message: /^error while creating mount source path '\/proc\/nobody\/makes\/this': ENOENT/,
    });
  });
});
