import { strict as assert } from 'node:assert';
import type { ServerResponse } from 'node:http';
import { VirtualClock, realClock, type Clock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import type { RegistryAuth } from '../images.ts';
import { parseReference } from '../reference.ts';
import { fault, startStub, type StubRegistry, type StubRequest } from '../testing/stub.ts';
import { RegistryClient } from './client.ts';

const body = JSON.stringify({ schemaVersion: 2, manifests: [] });
const basic = (user: string, password: string) => `Basic ${btoa(`${user}:${password}`)}`;

/** A token service that hands out t1, t2, … and a registry that takes some of them. */
interface Scene extends AsyncDisposable {
  readonly tokens: StubRegistry;
  readonly registry: StubRegistry;
  readonly client: RegistryClient;
  readonly name: string;
  /** Tokens that the registry takes; empty: all. */
  readonly accepted: Set<string>;
}

type TokenAnswer = (token: string, request: StubRequest, response: ServerResponse) => void;

const plainToken: TokenAnswer = (token, _request, response) =>
  response.end(JSON.stringify({ token, expires_in: 300 }));

async function scene(answer: TokenAnswer = plainToken, clock: Clock = realClock): Promise<Scene> {
  const accepted = new Set<string>();
  let count = 0;
  const tokens = await startStub((request, response) => {
    count += 1;
    answer(`t${count}`, request, response);
  });
  const challenge = `Bearer realm="${tokens.origin}/token",service="reg",scope="repository:x:pull"`;
  const registry = await startStub(({ headers }, response) => {
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    if (token !== '' && (accepted.size === 0 || accepted.has(token))) response.end(body);
    else {
      const header = { 'www-authenticate': challenge };
      fault(response, 401, 'UNAUTHORIZED', 'authentication required', header);
    }
  });
  const client = new RegistryClient(
    {
      insecureRegistries: [],
      mirrors: [],
      retry: { attempts: 1, firstDelayMs: 1, maxDelayMs: 1 },
    },
    // Time stamps from the test's clock, time-outs from the real one: sockets know no other.
    { clock: { ...realClock, nowMs: () => clock.nowMs() }, log: silentLogger },
  );
  return {
    tokens,
    registry,
    client,
    accepted,
    name: `${registry.host}/team/web:1`,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      await tokens[Symbol.asyncDispose]();
    },
  };
}

async function ask({ client, name }: Scene, auth?: RegistryAuth): Promise<void> {
  const repository = await client.repository(parseReference(name), auth);
  await repository.manifest();
}

describe('tokens', () => {
  it('are fetched for the repository, and used again while they live', async () => {
    const clock = new VirtualClock();
    await using here = await scene(plainToken, clock);
    await ask(here);
    await ask(here);
    assert.equal(here.tokens.requests.length, 1);
    const [first] = here.tokens.requests;
    assert.equal(first?.method, 'GET');
    assert.equal(first.headers.authorization, undefined);
    assert.deepEqual(Object.fromEntries(first.query), {
      service: 'reg',
      scope: 'repository:team/web:pull',
    });
    clock.advance(295_000);
    await ask(here);
    assert.equal(here.tokens.requests.length, 2, 'one that is about to end is renewed');
    assert.equal(here.registry.requests.at(-1)?.headers.authorization, 'Bearer t2');
    const refused = here.registry.requests.filter(({ headers }) => !headers.authorization);
    assert.equal(refused.length, 1, 'only the first request goes without a token');
  });

  it('live a minute when they do not say', async () => {
    const clock = new VirtualClock();
    await using here = await scene(
      (token, _, response) => response.end(JSON.stringify({ access_token: token })),
      clock,
    );
    await ask(here);
    clock.advance(45_000);
    await ask(here);
    assert.equal(here.tokens.requests.length, 1);
    clock.advance(10_000);
    await ask(here);
    assert.equal(here.tokens.requests.length, 2);
  });

  it('are fetched anew when one is refused, and once only', async () => {
    await using here = await scene();
    await ask(here);
    here.accepted.add('t2');
    await ask(here);
    assert.equal(here.tokens.requests.length, 2);
    here.accepted.clear();
    here.accepted.add('none');
    await assert.rejects(ask(here), {
      code: 'unauthenticated',
      message: `pull access denied for ${here.registry.host}/team/web, repository does not exist or may require 'docker login': unauthorized: authentication required`,
    });
    assert.equal(here.tokens.requests.length, 3);
  });

  it('are fetched with credentials, each with their own', async () => {
    await using here = await scene();
    await ask(here, { username: 'u', password: 'p' });
    await ask(here, { username: 'v', password: 'q' });
    await ask(here);
    const seen = here.tokens.requests.map(({ headers }) => headers.authorization);
    assert.deepEqual(seen, [basic('u', 'p'), basic('v', 'q'), undefined]);
    assert.equal(here.tokens.requests[0]?.query.get('account'), 'u');
  });

  it('are fetched with an identity token, by OAuth', async () => {
    await using here = await scene();
    await ask(here, { identityToken: 'refresh me' });
    const [request] = here.tokens.requests;
    assert.equal(request?.method, 'POST');
    assert.deepEqual(Object.fromEntries(new URLSearchParams(request.body)), {
      service: 'reg',
      scope: 'repository:team/web:pull',
      grant_type: 'refresh_token',
      refresh_token: 'refresh me',
      client_id: 'ts-swarm',
      access_type: 'offline',
    });
  });

  it('are sent as they are when the user has one', async () => {
    await using here = await scene();
    await ask(here, { registryToken: 'mine' });
    assert.equal(here.registry.requests[0]?.headers.authorization, 'Bearer mine');
    assert.equal(here.tokens.requests.length, 0);
  });

  const refusals: readonly { name: string; answer: TokenAnswer; code: string; message: RegExp }[] =
    [
      {
        name: 'a wrong password',
        answer: (_token, _request, response) =>
          response.writeHead(401).end('{"details":"incorrect username or password"}'),
        code: 'unauthenticated',
        message: /^unauthorized: incorrect username or password$/,
      },
      {
        name: 'trouble of the token service',
        answer: (_token, _request, response) => response.writeHead(500).end(),
        code: 'unavailable',
        message: /^Get "http:\/\/127.0.0.1:\d+\/token": received unexpected HTTP status 500$/,
      },
      {
        name: 'an answer without a token',
        answer: (_token, _request, response) => response.end('{"token":7}'),
        code: 'unavailable',
        message: /^the token service http:\/\/127.0.0.1:\d+ answered without a token/,
      },
      {
        name: 'no JSON',
        answer: (_token, _request, response) => response.end('<html>'),
        code: 'unavailable',
        message: /answered without a token/,
      },
    ];
  for (const { name, answer, code, message } of refusals) {
    it(`tell of ${name}`, async () => {
      await using here = await scene(answer);
      await assert.rejects(ask(here, { username: 'u', password: 'p' }), { code, message });
    });
  }

  it('are not asked for with credentials over an open line', async () => {
    await using registry = await startStub((_, response) => {
      const realm = 'http://registry.invalid/token';
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
    });
    await using client = new RegistryClient(
      { insecureRegistries: [], mirrors: [] },
      { clock: realClock, log: silentLogger },
    );
    const auth = { username: 'u', password: 'p' };
    const repository = await client.repository(parseReference(`${registry.host}/web`), auth);
    await assert.rejects(repository.manifest(), {
      code: 'unauthenticated',
      message: /credentials to be sent unencrypted to http:\/\/registry.invalid/,
    });
  });
});
