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
