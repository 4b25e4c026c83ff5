import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { createApiServer, type ApiServer } from './index.ts';
import { FakeBackend } from './testing.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- documents are compared, not used
type Json = any;

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('secrets, configs and logins in the API', () => {
  let folder: string;
  let server: ApiServer;
  let backend: FakeBackend;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'api-files-'));
    backend = new FakeBackend();
    await backend.becomeManager();
    server = createApiServer({ backend, log: silentLogger, clock: realClock });
    await server.listen({ unixSocket: join(folder, 'docker.sock') });
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const ask = async (method: string, path: string, document?: unknown) => {
    const headers = { 'Content-Type': 'application/json' };
    const socketPath = join(folder, 'docker.sock');
    const sent = request({ socketPath, method, path: `/v1.41${path}`, headers });
    sent.end(document === undefined ? undefined : JSON.stringify(document));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    const json: Json = text === '' ? undefined : JSON.parse(text);
    return { status: response.statusCode, text, json };
  };
  const make = async (kind: string, Name: string, content: string, Labels = {}) => {
    const { status, json } = await ask('POST', `/${kind}s/create`, {
      Name,
      Labels,
      Data: base64(content),
    });
    assert.equal(status, 201);
    return json.ID as string;
  };
  const names = async (kind: string, filters: object) => {
    const query = encodeURIComponent(JSON.stringify(filters));
    const { json } = await ask('GET', `/${kind}s?filters=${query}`);
    return (json as Json[]).map(({ Spec }) => Spec.Name as string).toSorted();
  };

  it('are filtered by name, exact name, id and label', async () => {
    const id = await make('secret', 'key', 'x', { tier: 'db' });
    await make('secret', 'key-2', 'x');
    await make('secret', 'other', 'x', { tier: 'web' });
    assert.deepEqual(await names('secret', { name: ['key'] }), ['key', 'key-2']);
    assert.deepEqual(await names('secret', { names: ['key'] }), ['key']);
    assert.deepEqual(await names('secret', { id: [id.slice(0, 20)] }), ['key']);
    assert.deepEqual(await names('secret', { label: ['tier'] }), ['key', 'other']);
    assert.deepEqual(await names('secret', { label: ['tier=web'], name: ['o'] }), ['other']);
    assert.equal((await ask('GET', '/secrets?filters={"nope":["x"]}')).status, 400);
  });

  it('show a config’s content, and a secret’s to nobody', async () => {
    const config = await make('config', 'motd', 'welcome');
    const secret = await make('secret', 'key', 'swordfish');
    assert.equal((await ask('GET', `/configs/${config}`)).json.Spec.Data, base64('welcome'));
    await ask('POST', `/secrets/${secret}/revisions`, { Data: base64('swordfish 2') });
    for (const path of ['/secrets', '/secrets/key', '/secrets/key/revisions']) {
      const { status, text } = await ask('GET', path);
      assert.equal(status, 200);
      assert.ok(!text.includes(base64('swordfish').slice(0, 8)), text);
    }
    const bad = await ask('POST', '/secrets/create', { Name: 'x', Data: '%swordfish%' });
    assert.equal(bad.status, 400);
    assert.ok(!bad.text.includes('swordfish'), bad.text);
  });

  it('stand behind their names with their last content, and are found by id for the rest', async () => {
    const first = await make('config', 'motd', 'one');
    const ContainerSpec = {
      Image: 'web:1',
      Configs: [{ ConfigID: first, ConfigName: 'motd', File: { Name: '/motd' } }],
    };
    const spec = { Name: 'web', TaskTemplate: { ContainerSpec } };
    assert.equal((await ask('POST', '/services/create', spec)).status, 201);
    const { status, json } = await ask('POST', '/configs/motd/revisions', { Data: base64('two') });
    assert.equal(status, 201);
    assert.equal(json.Revision, 2);
    assert.deepEqual(
      json.Services.map(({ Name }: Json) => Name),
      ['web'],
    );
    assert.deepEqual(await names('config', {}), ['motd']);
    assert.equal((await ask('GET', '/configs/motd')).json.ID, json.ID);
    assert.equal((await ask('GET', `/configs/${first}`)).json.Spec.Data, base64('one'));
    const revisions = (await ask('GET', '/configs/motd/revisions')).json as Json[];
    assert.deepEqual(
      revisions.map(({ Revision, Services }) => [Revision, Services]),
      [
        [1, []],
        [2, ['web']],
      ],
    );
  });

  it('take a password or an identity token, and show neither', async () => {
    const logIn = (document: object) => ask('POST', '/registries', document);
    for (const document of [{}, { Username: 'me' }, { Password: 'x' }]) {
      assert.equal((await logIn({ ServerAddress: 'r.example', ...document })).status, 400);
    }
    const token = { ServerAddress: 'r.example:5000', IdentityToken: 'swordfish' };
    assert.equal((await logIn(token)).status, 204);
    assert.equal((await logIn({ Username: 'me', Password: 'swordfish' })).status, 204);
    const { text, json } = await ask('GET', '/registries');
    assert.deepEqual(
      (json as Json[]).map(({ ServerAddress, Username }) => [ServerAddress, Username]),
      [
        ['docker.io', 'me'],
        ['r.example:5000', ''],
      ],
    );
    assert.ok(!text.includes('swordfish'));
    const [, login] = backend.store.cluster()?.registryLogins ?? [];
    assert.deepEqual(JSON.parse(Buffer.from(login?.auth ?? '', 'base64url').toString()), {
      serveraddress: 'r.example:5000',
      identitytoken: 'swordfish',
    });
    for (const path of ['/swarm', '/info']) {
      assert.ok(!(await ask('GET', path)).text.includes(login?.auth ?? '?'), path);
    }
    assert.equal((await ask('DELETE', '/registries/r.example:5000')).status, 204);
    assert.equal((await ask('DELETE', '/registries/r.example:5000')).status, 404);
  });
});
