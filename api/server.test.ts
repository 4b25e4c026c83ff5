import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { loadX509, managerServerName } from '../lib/identity/index.ts';
import type { LogFields, Logger } from '../lib/log.ts';
import { createRootCa, issueForSelf } from '../manager/ca/index.ts';
import { createApiServer, type ApiServer } from './index.ts';
import { FakeBackend } from './testing.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

describe('the API server', () => {
  let folder: string;
  let socketPath: string;
  let server: ApiServer;
  let backend: FakeBackend;
  let errors: LogFields[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'api-'));
    socketPath = join(folder, 'docker.sock');
    backend = new FakeBackend();
    errors = [];
    server = createApiServer({ backend, log: errorLogger(errors), clock: realClock });
    await server.listen({ unixSocket: socketPath });
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const open = async (
    method: string,
    path: string,
    { body, headers = {} }: { body?: string | Buffer; headers?: Record<string, string> } = {},
  ): Promise<IncomingMessage> => {
    const sent = request({ socketPath, method, path, headers });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  };

  const ask = async (...args: Parameters<typeof open>): Promise<Answer> => {
    const response = await open(...args);
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  };

  const send = (path: string, document: unknown) =>
    ask('POST', path, {
      body: JSON.stringify(document),
      headers: { 'Content-Type': 'application/json' },
    });

  const message = ({ text }: Answer) => (JSON.parse(text) as { message: string }).message;

  it('answers a ping with Docker’s headers', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, text } = await ask(method, '/_ping');
      assert.equal(status, 200);
      assert.equal(text, method === 'GET' ? 'OK' : '');
      assert.equal(headers['api-version'], '1.50');
      assert.equal(headers['ostype'], 'linux');
      assert.equal(headers['docker-experimental'], 'false');
      assert.equal(headers['server'], 'Docker/0.1.0 (linux)');
      assert.equal(headers['swarm'], 'inactive');
      assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
    }
  });

  const refusals = [
    { path: '/v1.99/info', status: 400, says: /too new/ },
    { path: '/v1.10/info', status: 400, says: /too old/ },
    { path: '/nope', status: 404, says: /^page not found$/ },
    { path: '/v1.41/services', status: 503, says: /^This node is not a swarm manager/ },
    { path: '/containers/nope/json', status: 404, says: /^No such container: nope$/ },
    { path: '/images/nope/json', status: 404, says: /^No such image: nope:latest$/ },
    { path: '/networks/nope', status: 404, says: /^network nope not found$/ },
    { path: '/events?since=x', status: 400, says: /^invalid value for 'since'/ },
    { path: '/events?since=2&until=1', status: 400, says: /cannot be after/ },
    {
      path: '/images/10.99.0.254:5000%2Fweb:1/json?manifests=1&platform=%7B%7D',
      status: 400,
      says: /^conflicting options: manifests and platform options cannot both be set$/,
    },
    {
      path: '/images/10.99.0.254:5000%2Fweb:1/history?platform=linux',
      status: 400,
      says: /^failed to parse platform: /,
    },
    {
      path: '/images/10.99.0.254:5000%2Fweb:1/json?platform=%7B%22architecture%22:%22arm64%22%7D',
      status: 404,
      says: /^not for \(linux\/arm64\)$/,
    },
    { path: '/images/json?filters={', status: 400, says: /^invalid filter$/ },
  ];
  for (const { path, status, says } of refusals) {
    it(`refuses ${path} with ${status}`, async () => {
      const answer = await ask('GET', path);
      assert.equal(answer.status, status);
      assert.equal(answer.headers['content-type'], 'application/json');
      assert.match(message(answer), says);
    });
  }

  const garbage: { name: string; body: string; type?: string; says: RegExp }[] = [
    { name: 'text that is not JSON', body: '{"Name":', says: /^invalid JSON: / },
    { name: 'JSON of another shape', body: '[]', says: /expected an object, got an array/ },
    {
      name: 'a field of another type',
      body: '{"TaskTemplate":{"ContainerSpec":{"Image":5}}}',
      says: /TaskTemplate\.ContainerSpec\.Image: expected a string, got a number/,
    },
    {
      name: 'a number beyond all bounds',
      body: '{"Mode":{"Replicated":{"Replicas":18446744073709551615}}}',
      says: /Mode\.Replicated\.Replicas: expected a whole number/,
    },
    {
      name: 'a word that is none of the set',
      body: '{"EndpointSpec":{"Mode":"fast"}}',
      says: /EndpointSpec\.Mode: "fast" is not one of vip, dnsrr/,
    },
    {
      name: 'another media type',
      body: '{}',
      type: 'text/plain',
      says: /must be 'application\/json'/,
    },
    { name: 'deep nesting', body: '['.repeat(200_000), says: /^invalid JSON: / },
    { name: 'nothing', body: '', says: /missing runtime/ },
  ];
  for (const { name, body, type = 'application/json', says } of garbage) {
    it(`refuses ${name} as a service with 400`, async () => {
      await backend.becomeManager();
      const headers = { 'Content-Type': type };
      const answer = await ask('POST', '/services/create', { body, headers });
      assert.equal(answer.status, 400);
      assert.match(message(answer), says);
    });
  }

  it('refuses a body that is too large, and lives on', async () => {
    await backend.becomeManager();
    const body = Buffer.alloc(5 * 1024 * 1024, 'x');
    const headers = { 'Content-Type': 'application/json' };
    const answer = await ask('POST', '/services/create', { body, headers });
    assert.equal(answer.status, 413);
    assert.match(message(answer), /larger than 4 MiB/);
    assert.equal((await ask('GET', '/_ping')).status, 200);
  });

  it('logs what it did not expect, and answers 500', async () => {
    Object.assign(backend.system, { info: async () => assert.fail('a bug') });
    const answer = await ask('GET', '/info');
    assert.equal(answer.status, 500);
    assert.equal(errors.length, 1);
    assert.match(String(errors[0]?.['stack']), /server\.test/);
  });

  it('carries a service through its life', async () => {
    await backend.becomeManager();
    const template = { ContainerSpec: { Image: '10.99.0.254:5000/web:1' } };
    const created = await send('/v1.41/services/create', { Name: 'web', TaskTemplate: template });
    assert.equal(created.status, 201);
    const { ID: id } = JSON.parse(created.text) as { ID: string };
    const taken = await send('/services/create', { Name: 'web', TaskTemplate: template });
    assert.equal(taken.status, 409);
    const inspected = await ask('GET', '/services/web');
    const service = JSON.parse(inspected.text) as { Version: { Index: number }; Spec: object };
    const version = service.Version.Index;
    const labelled = { ...service.Spec, Labels: { tier: 'front' } };
    const updated = await send(`/services/web/update?version=${version}`, labelled);
    assert.equal(updated.status, 200);
    const stale = await send(`/services/web/update?version=${version}`, labelled);
    assert.equal(stale.status, 409);
    assert.equal(message(stale), 'update out of sequence');
    const noVersion = await send('/services/web/update', labelled);
    assert.equal(noVersion.status, 400);
    const filters = encodeURIComponent('{"label":["tier=front"],"name":["w"]}');
    const listed = await ask('GET', `/services?status=true&filters=${filters}`);
    const [only] = JSON.parse(listed.text) as { ID: string; ServiceStatus: object }[];
    assert.equal(only?.ID, id);
    assert.deepEqual(only?.ServiceStatus, { RunningTasks: 0, DesiredTasks: 1, CompletedTasks: 0 });
    assert.equal((await ask('DELETE', '/services/web')).status, 200);
    assert.equal((await ask('GET', '/services/web')).status, 404);
  });

  it('asks the daemon to start a swarm, with Docker’s defaults', async () => {
    const answer = await send('/swarm/init', {
      ListenAddr: '0.0.0.0',
      Availability: '',
      Spec: { Raft: { ElectionTick: 10, HeartbeatTick: 1 } },
    });
    assert.equal(answer.status, 200);
    assert.match(answer.text, /^"[a-z0-9]{25}"\n$/);
    const [options] = backend.initCalls;
    assert.equal(options?.listenAddr, '0.0.0.0:2377');
    assert.equal(options?.dataPathPort, 4789);
    assert.deepEqual(options?.defaultAddressPools, ['10.0.0.0/8']);
    assert.equal(options?.availability, 'active');
    const swarm = JSON.parse((await ask('GET', '/swarm')).text) as { JoinTokens: object };
    assert.deepEqual(swarm.JoinTokens, { Worker: 'SWMTKN-1-worker', Manager: 'SWMTKN-1-manager' });
    const bad = await send('/swarm/init', { DataPathPort: 80 });
    assert.equal(bad.status, 400);
    const slow = await send('/swarm/init', { Spec: { Raft: { ElectionTick: 30 } } });
    assert.equal(slow.status, 400);
    assert.match(slow.text, /leave ElectionTick at 10 and HeartbeatTick at 1/);
    const ExternalCAs = [{ Protocol: 'cfssl', URL: 'https://ca.example/sign' }];
    const outside = await send('/swarm/init', { Spec: { CAConfig: { ExternalCAs } } });
    assert.equal(outside.status, 400);
    assert.match(outside.text, /and then name the CA by swarm update --external-ca/);
  });

  it('asks for managers that lock themselves', async () => {
    const locked = await send('/swarm/init', { AutoLockManagers: true });
    assert.equal(locked.status, 200);
    assert.equal(backend.initCalls[0]?.spec.encryption.autoLockManagers, true);
    assert.deepEqual(JSON.parse((await ask('GET', '/swarm/unlockkey')).text), { UnlockKey: '' });
  });

  it('shows the unlock key, and takes one', async () => {
    await backend.becomeManager({ managerLock: { version: 1, unlockKey: 'SWMKEY-1-x' } });
    const shown = JSON.parse((await ask('GET', '/swarm/unlockkey')).text) as object;
    assert.deepEqual(shown, { UnlockKey: 'SWMKEY-1-x' });
    assert.doesNotMatch((await ask('GET', '/swarm')).text, /SWMKEY/);
    assert.equal((await send('/swarm/unlock', { UnlockKey: 'SWMKEY-1-x' })).status, 200);
    assert.deepEqual(backend.unlockCalls, ['SWMKEY-1-x']);
  });

  it('shows whom the swarm trusts', async () => {
    const root = await createRootCa(realClock);
    const joinTokens = { worker: 'w', manager: 'm' };
    await backend.becomeManager({ rootCa: { ...root, joinTokens } });
    const x509 = await loadX509();
    const certificate = new x509.X509Certificate(root.certPem);
    const base64 = (bytes: ArrayBuffer) => Buffer.from(bytes).toString('base64');
    const expected = {
      TrustRoot: root.certPem,
      CertIssuerSubject: base64(certificate.subjectName.toArrayBuffer()),
      CertIssuerPublicKey: base64(certificate.publicKey.rawData),
    };
    const swarm = JSON.parse((await ask('GET', '/swarm')).text) as { TLSInfo: object };
    assert.deepEqual(swarm.TLSInfo, expected);
    const [node] = JSON.parse((await ask('GET', '/nodes')).text) as [
      { Description: { TLSInfo: object } },
    ];
    assert.deepEqual(node.Description.TLSInfo, expected);
  });

  it('hands the lead to the manager that is named', async () => {
    await backend.becomeManager();
    const [node] = [...backend.store.nodes()];
    assert.ok(node);
    assert.equal((await ask('POST', `/nodes/${node.id}/lead`)).status, 200);
    assert.deepEqual(backend.leads, [node.id]);
    const unknown = await ask('POST', '/nodes/nobody/lead');
    assert.equal(unknown.status, 404);
    assert.equal(backend.leads.length, 1);
  });

  it('shows the facts of a manager whose swarm is in trouble', async () => {
    await backend.becomeManager();
    const trouble = new SwarmError('unavailable', 'The swarm does not have a leader.');
    backend.store.read = () => Promise.reject(trouble);
    const info = JSON.parse((await ask('GET', '/info')).text) as {
      Swarm: { Error: string; ControlAvailable: boolean };
    };
    assert.equal(info.Swarm.Error, 'The swarm does not have a leader.');
    assert.equal(info.Swarm.ControlAvailable, true);
    assert.equal((await ask('GET', '/services')).status, 503);
  });

  it('refuses credentials that cannot be read', async () => {
    await backend.becomeManager();
    const headers = { 'X-Registry-Auth': '%%%', 'Content-Type': 'application/json' };
    const answer = await ask('POST', '/services/create', { body: '{}', headers });
    assert.equal(answer.status, 400);
    assert.match(message(answer), /X-Registry-Auth/);
  });

  it('asks the daemon to join and to leave', async () => {
    const request_ = { RemoteAddrs: ['10.0.0.1', '[::1]:9'], JoinToken: 'SWMTKN-1-x' };
    assert.equal((await send('/swarm/join', request_)).status, 200);
    assert.deepEqual(backend.joinCalls[0]?.remoteAddrs, ['10.0.0.1:2377', '[::1]:9']);
    assert.equal((await send('/swarm/join', { JoinToken: 'x' })).status, 400);
    assert.equal((await ask('POST', '/swarm/leave?force=1')).status, 200);
    assert.deepEqual(backend.leaveCalls, [true]);
  });

  it('serves only its owner and group, and not twice in one place', async () => {
    assert.equal(statSync(socketPath).mode & 0o777, 0o660);
    await assert.rejects(server.listen({ unixSocket: socketPath }), { code: 'already-exists' });
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await assert.rejects(server.listen({ unixSocket: file }), { code: 'already-exists' });
    assert.equal((await ask('GET', '/_ping')).status, 200);
  });

  it('takes the place of a daemon that was killed', async () => {
    const stale = join(folder, 'stale.sock');
    const dead = createServer().listen(stale);
    await once(dead, 'listening');
    // The file stays, as after kill -9: closing would remove it.
    const kept = `${stale}.kept`;
    linkSync(stale, kept);
    dead.close();
    await once(dead, 'close');
    await server.listen({ unixSocket: kept });
  });

  it('listens on TCP where it is told to', async () => {
    const { address } = await server.listen({ host: '127.0.0.1', port: 0 });
    const response = await fetch(`http://${address}/v1.41/_ping`);
    assert.equal(await response.text(), 'OK');
  });

  it('asks for certificates where a network could reach it', async () => {
    await assert.rejects(server.listen({ host: '0.0.0.0', port: 0 }), { code: 'invalid-argument' });
    const root = await createRootCa(realClock);
    const subject = { role: 'manager', clusterId: 'c1' } as const;
    const own = await issueForSelf(root, subject, { lifeMs: undefined, clock: realClock });
    const tls = { certPem: own.certPem, keyPem: own.keyPem, caPem: root.certPem };
    const { address } = await server.listen({ host: '127.0.0.1', port: 0, tls });
    const ping = async (credentials: { cert?: string; key?: string }) => {
      const target = { ca: root.certPem, servername: managerServerName, agent: false as const };
      const sent = requestTls(`https://${address}/_ping`, { ...target, ...credentials });
      sent.end();
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    assert.equal(await ping({ cert: own.certPem, key: own.keyPem }), 200);
    await assert.rejects(ping({}));
  });

  it('ends open streams when it closes', async () => {
    const stream = await open('GET', '/events');
    const ended = (async () => {
      const [more] = await stream.toArray();
      assert.equal(more, undefined);
      return stream.complete;
    })();
    await server[Symbol.asyncDispose]();
    assert.equal(await ended, true);
  });
});

function errorLogger(errors: LogFields[]): Logger {
  const log: Logger = {
    debug() {},
    info() {},
    warn() {},
    error: (_message, fields = {}) => void errors.push(fields),
    child: () => log,
  };
  return log;
}
