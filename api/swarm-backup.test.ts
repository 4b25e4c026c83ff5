/** Backup and restore over HTTP. */
import { strict as assert } from 'node:assert';
import { realClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { decodeBackup } from '../manager/store/index.ts';
import { makeService } from '../manager/store/testing.ts';
import { createApiServer } from './server.ts';
import { FakeBackend } from './testing.ts';

async function serve() {
  const backend = new FakeBackend();
  const server = createApiServer({ backend, log: silentLogger, clock: realClock });
  const { address } = await server.listen({ host: '127.0.0.1', port: 0 });
  const call = (method: string, path: string, body?: Uint8Array, passphrase?: string) =>
    fetch(`http://${address}${path}`, {
      method,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
      headers:
        passphrase === undefined
          ? {}
          : { 'x-swarm-passphrase': Buffer.from(passphrase).toString('base64url') },
    });
  return { backend, call, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function backupOf(one: Awaited<ReturnType<typeof serve>>, passphrase?: string) {
  const answer = await one.call('GET', '/swarm/backup', undefined, passphrase);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('x-swarm-encrypted'), String(passphrase !== undefined));
  return Buffer.from(await answer.arrayBuffer());
}

const put = (name: string) =>
  ({ op: 'put', table: 'service', object: makeService(name), base: 0 }) as const;

describe('backups over HTTP', () => {
  it('make a swarm of a daemon that is in none', async () => {
    await using one = await serve();
    await one.backend.becomeManager();
    await one.backend.propose([put('web')]);
    const file = await backupOf(one, 'secret');
    assert.equal((await decodeBackup(file, 'secret')).index, one.backend.store.index);

    await using other = await serve();
    const refused = await other.call('POST', '/swarm/restore', file, 'guess');
    assert.equal(refused.status, 400);
    const { message } = (await refused.json()) as { message: string };
    assert.match(message, /^the passphrase does not open the backup/);
    assert.equal(other.backend.restoreCalls.length, 0);
    const query = 'advertiseAddr=10.0.0.7&availability=drain';
    const answer = await other.call('POST', `/swarm/restore?${query}`, file, 'secret');
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), {
      ClusterID: one.backend.store.cluster()?.id,
      NodeID: other.backend.status.nodeId,
      Services: 1,
      Nodes: 1,
    });
    const [call] = other.backend.restoreCalls;
    assert.equal(call?.listenAddr, '0.0.0.0:2377');
    assert.equal(call.advertiseAddr, '10.0.0.7');
    assert.equal(call.dataPathAddr, '');
    assert.equal(call.availability, 'drain');
  });

  it('replace the specs of a swarm only when forced', async () => {
    await using one = await serve();
    await one.backend.becomeManager();
    await one.backend.propose([put('web')]);
    const file = await backupOf(one);
    const web = one.backend.store.serviceByName('web');
    const base = web?.meta.version ?? 0;
    await one.backend.propose([{ op: 'delete', table: 'service', id: 'web', base }, put('newer')]);
    const refused = await one.call('POST', '/swarm/restore', file);
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), /this node is in a swarm: --force makes/);
    assert.equal(one.backend.store.serviceByName('web'), undefined);
    const answer = await one.call('POST', '/swarm/restore?force=1', file);
    assert.deepEqual(await answer.json(), { Created: 1, Updated: 0, Removed: 1 });
    assert.deepEqual(one.backend.store.serviceByName('web')?.spec, web?.spec);
    assert.equal(one.backend.store.serviceByName('newer'), undefined);
  });

  it('are made by managers only', async () => {
    await using one = await serve();
    const answer = await one.call('GET', '/swarm/backup');
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /not a swarm manager/);
  });
});
