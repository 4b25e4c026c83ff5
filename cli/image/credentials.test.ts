import { strict as assert } from 'node:assert';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eraseCredentials, hubServer, serverKey, storeCredentials } from './credentials.ts';
import { registryAuthFor, registryConfigFor } from '../service/registry-auth.ts';

const someone = { username: 'someone', password: 'a:b' };

describe('stored credentials', () => {
  let folder: string;
  let env: Record<string, string>;
  const config = () => JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as unknown;
  const sent = async (text: Promise<string>) =>
    JSON.parse(Buffer.from(await text, 'base64url').toString('utf8')) as unknown;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'credentials-'));
    env = { DOCKER_CONFIG: folder };
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are kept beside what else is in the file, and sent from there', async () => {
    writeFileSync(join(folder, 'config.json'), '{"detachKeys":"ctrl-x"}');
    const path = await storeCredentials(env, 'reg:5000', someone);
    assert.equal(path, join(folder, 'config.json'));
    const auth = Buffer.from('someone:a:b').toString('base64');
    assert.deepEqual(config(), { detachKeys: 'ctrl-x', auths: { 'reg:5000': { auth } } });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(await sent(registryAuthFor('reg:5000/web', env)), {
      ...someone,
      serveraddress: 'reg:5000',
    });
    assert.deepEqual(await sent(registryConfigFor(env)), {
      'reg:5000': { ...someone, serveraddress: 'reg:5000' },
    });
    assert.equal(await eraseCredentials(env, 'reg:5000'), true);
    assert.equal(await eraseCredentials(env, 'reg:5000'), false);
    assert.deepEqual(config(), { detachKeys: 'ctrl-x', auths: {} });
  });

  it('are handed to the helper that is named', async () => {
    const helper = join(folder, 'docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh\nif [ "$1" = erase ]; then rm "${folder}/kept"; else cat >"${folder}/kept"; fi\n`,
    );
    chmodSync(helper, 0o755);
    writeFileSync(join(folder, 'config.json'), '{"credsStore":"test"}');
    const path = process.env['PATH'];
    process.env['PATH'] = `${folder}:${path ?? ''}`;
    try {
      assert.equal(await storeCredentials(env, 'reg:5000', someone), undefined);
      assert.deepEqual(JSON.parse(readFileSync(join(folder, 'kept'), 'utf8')), {
        ServerURL: 'reg:5000',
        Username: 'someone',
        Secret: 'a:b',
      });
      assert.deepEqual(config(), { credsStore: 'test', auths: { 'reg:5000': {} } });
      assert.equal(await eraseCredentials(env, 'reg:5000'), true);
      assert.throws(() => statSync(join(folder, 'kept')));
    } finally {
      process.env['PATH'] = path;
    }
  });

  for (const [given, key] of [
    [undefined, hubServer],
    ['docker.io', hubServer],
    ['https://index.docker.io/v1/', hubServer],
    ['https://reg:5000/v2/', 'reg:5000'],
    ['reg:5000', 'reg:5000'],
  ] as const) {
    it(`for ${given ?? 'no server'} are under ${key}`, () => assert.equal(serverKey(given), key));
  }
});
