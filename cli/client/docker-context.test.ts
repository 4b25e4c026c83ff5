import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveContext } from './docker-context.ts';

describe('a context of docker’s', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'contexts-'));
    keep('plain', { Endpoints: { docker: { Host: 'tcp://10.0.0.1:2375' } } });
    keep('secure', { Endpoints: { docker: { Host: 'tcp://10.0.0.2:2376' } } });
    keep('hostless', { Endpoints: {} });
    const tls = join(folder, 'contexts', 'tls', hash('secure'), 'docker');
    mkdirSync(tls, { recursive: true });
    for (const name of ['ca', 'cert', 'key']) writeFileSync(join(tls, `${name}.pem`), name);
  });
  after(() => rmSync(folder, { recursive: true }));

  const hash = (name: string) => createHash('sha256').update(name).digest('hex');
  const keep = (name: string, document: object) => {
    const meta = join(folder, 'contexts', 'meta', hash(name));
    mkdirSync(meta, { recursive: true });
    writeFileSync(join(meta, 'meta.json'), JSON.stringify({ Name: name, ...document }));
  };
  const resolve = (given: {
    readonly env?: Record<string, string>;
    readonly host?: string;
    readonly dockerContext?: string;
  }) => resolveContext({ ...given, env: { DOCKER_CONFIG: folder, ...given.env } });

  it('is looked up where it is named', () => {
    const plain = { host: 'tcp://10.0.0.1:2375' };
    assert.deepEqual(resolve({ dockerContext: 'plain' }), plain);
    assert.deepEqual(resolve({ env: { DOCKER_CONTEXT: 'plain' } }), plain);
  });

  it('brings its certificates', () => {
    assert.deepEqual(resolve({ dockerContext: 'secure' }), {
      host: 'tcp://10.0.0.2:2376',
      tls: { ca: 'ca', cert: 'cert', key: 'key', rejectUnauthorized: true },
    });
  });

  it('is not asked for where a host is named, or none', () => {
    assert.equal(resolve({}), undefined);
    assert.equal(resolve({ env: { DOCKER_CONTEXT: 'default' } }), undefined);
    for (const env of [{ DOCKER_HOST: 'unix:///a' }, { TS_SWARM_HOST: 'unix:///a' }]) {
      assert.equal(resolve({ env: { DOCKER_CONTEXT: 'plain', ...env } }), undefined);
    }
    assert.equal(resolve({ env: { DOCKER_CONTEXT: 'plain' }, host: 'unix:///a' }), undefined);
  });

  it('is refused with a sentence', () => {
    assert.throws(() => resolve({ dockerContext: 'nope' }), /context "nope": not found/);
    assert.throws(() => resolve({ dockerContext: 'hostless' }), /names no host for docker/);
    assert.throws(
      () => resolve({ dockerContext: 'plain', host: 'unix:///a' }),
      /either specify --host or --context/,
    );
  });
});
