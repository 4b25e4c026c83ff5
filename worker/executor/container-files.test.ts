import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerFiles } from './container-files.ts';

describe('a container’s /etc/hosts', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'ts-swarm-container-files-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const linesOf = async (request: { readonly gateway?: string }) => {
    const files = await new ContainerFiles(folder).write({
      containerId: 'c1',
      hostname: 'web',
      networkMode: 'bridge',
      addresses: ['10.0.1.5/24'],
      spec: { image: 'a', hosts: ['10.0.0.9   db  primary', 'host-gateway up', '::1 gateway'] },
      ...request,
    });
    const { source = '' } = files.find(({ target }) => target === '/etc/hosts') ?? {};
    return readFileSync(source, 'utf8').split('\n').slice(-5, -1);
  };

  it('has the hosts of the spec, and its own name last', async () => {
    const lines = ['10.0.0.9\tdb  primary', '172.18.0.1\tup', '::1\tgateway', '10.0.1.5\tweb'];
    assert.deepEqual(await linesOf({ gateway: '172.18.0.1' }), lines);
  });

  it('leads to the host itself where there is no gateway to it', async () => {
    assert.equal((await linesOf({}))[1], '127.0.0.1\tup');
  });
});
