/** Answers that go on: logs, events, and the progress of pulls and loads. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { silentLogger } from '../lib/log.ts';
import { makeService, makeTask } from '../manager/store/testing.ts';
import { containerDocument, type Service, type Task } from '../types/index.ts';
import { createApiServer, type ApiServer } from './index.ts';
import type { Exchange } from './exchange.ts';
import { ProgressStream } from './progress-stream.ts';
import { FakeBackend, testImage } from './testing.ts';

const service: Service = makeService('s1');
const task = makeTask('t1', service, { nodeId: 'n1' });

function line(text: string, stream: 'stdout' | 'stderr' = 'stdout') {
  return { task, line: { timeNs: 1_000_000_000n, stream, data: Buffer.from(text) } };
}

describe('streams of the API', () => {
  let folder: string;
  let server: ApiServer;
  let backend: FakeBackend;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'api-'));
    backend = new FakeBackend();
    await backend.becomeManager();
    await backend.propose([
      { op: 'put', table: 'service', object: service, base: 0 },
      { op: 'put', table: 'task', object: task, base: 0 },
    ]);
    server = createApiServer({ backend, log: silentLogger, clock: realClock });
    await server.listen({ unixSocket: join(folder, 'docker.sock') });
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const open = async (method: string, path: string, body?: string): Promise<IncomingMessage> => {
    const socketPath = join(folder, 'docker.sock');
    const sent = request({ socketPath, method, path, agent: false });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  };

  const all = async (response: IncomingMessage): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };

  const lines = async (response: IncomingMessage): Promise<Record<string, unknown>[]> =>
    (await all(response))
      .toString()
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => JSON.parse(text) as Record<string, unknown>);

  describe('logs', () => {
    it('ask for what the client asked for', async () => {
      const query = 'follow=1&stdout=1&tail=5&since=1.5&until=3';
      await all(await open('GET', `/services/s1/logs?${query}`));
      assert.deepEqual(backend.logQueries[0], {
        follow: true,
        stdout: true,
        stderr: false,
        tail: 5,
        sinceMs: 1500,
        untilMs: 3000,
      });
      for (const bad of ['', 'stdout=1&tail=x', 'stdout=1&since=x']) {
        const refused = await open('GET', `/tasks/t1/logs?${bad}`);
        assert.equal(refused.statusCode, 400, bad);
        refused.resume();
      }
    });

    it('come in frames, of a media type by version', async () => {
      backend.logEntries = async function* entries() {
        yield line('out\n');
        yield line('err\n', 'stderr');
      };
      const newer = await open('GET', '/v1.42/services/s1/logs?stdout=1&stderr=1');
      assert.equal(newer.headers['content-type'], 'application/vnd.docker.multiplexed-stream');
      const bytes = await all(newer);
      assert.deepEqual([...bytes.subarray(0, 8)], [1, 0, 0, 0, 0, 0, 0, 4]);
      assert.equal(bytes.subarray(8, 12).toString(), 'out\n');
      assert.equal(bytes[12], 2);
      const older = await open('GET', '/v1.41/tasks/t1/logs?stdout=1');
      assert.equal(older.headers['content-type'], 'application/vnd.docker.raw-stream');
      older.resume();
    });

    it('tell at their end what is missing', async () => {
      backend.logEntries = async function* entries() {
        yield { notice: 'node n2 is down' };
        yield line('out\n');
        throw new SwarmError('unavailable', 'the stream broke');
      };
      const bytes = await all(await open('GET', '/services/s1/logs?stdout=1&details=1'));
      const text = bytes.toString();
      assert.ok(text.indexOf('out\n') < text.indexOf('node n2 is down; the stream broke'));
      assert.equal(bytes[bytes.lastIndexOf('Error grabbing logs') - 8], 3);
    });

    it('stop when the client leaves', async () => {
      const stopped = Promise.withResolvers<void>();
      backend.logEntries = async function* entries(_query, signal) {
        yield line('out\n');
        await once(signal, 'abort');
        stopped.resolve();
      };
      const response = await open('GET', '/services/s1/logs?stdout=1&follow=1');
      await once(response, 'data');
      response.destroy();
      await stopped.promise;
    });

    it('are read no faster than the client takes them', async () => {
      let produced = 0;
      const stopped = Promise.withResolvers<void>();
      backend.logEntries = async function* entries() {
        try {
          for (; produced < 100_000; produced++) yield line('x'.repeat(10_000));
        } finally {
          stopped.resolve();
        }
      };
      const response = await open('GET', '/services/s1/logs?stdout=1');
      response.pause();
      let seen = -1;
      // Flow control has reached the source when two looks in a row see the same.
      while (seen !== produced) {
        seen = produced;
        await realClock.sleep(100);
      }
      assert.ok(produced < 1000, `${produced} lines were read for a client that takes none`);
      response.destroy();
      await stopped.promise;
    });
  });

  describe('tasks', () => {
    it('of a service that is removed are listed until they have ended', async () => {
      const running = makeTask('t2', service, { nodeId: 'n1' });
      const ended = { ...running, id: 't3', status: { ...running.status, state: 'shutdown' } };
      await backend.propose([
        { op: 'put', table: 'task', object: running, base: 0 },
        { op: 'put', table: 'task', object: ended as Task, base: 0 },
      ]);
      const listed = async () => {
        const text = (await all(await open('GET', '/tasks'))).toString();
        return (JSON.parse(text) as { ID: string }[]).map(({ ID: id }) => id);
      };
      assert.deepEqual(await listed(), ['t1', 't2', 't3']);
      const base = backend.store.service('s1')?.meta.version ?? 0;
      await backend.propose([{ op: 'delete', table: 'service', id: 's1', base }]);
      assert.deepEqual(await listed(), ['t1', 't2']);
    });
  });

  describe('long lists', () => {
    it('are written piece by piece, and are the same JSON', async () => {
      const count = 1201;
      const put = (index: number) => {
        const object = makeTask(`x${String(index).padStart(5, '0')}`, service);
        return { op: 'put', table: 'task', object, base: 0 } as const;
      };
      await backend.propose(Array.from({ length: count }, (_, index) => put(index)));
      const text = (await all(await open('GET', '/tasks'))).toString();
      const ids = (JSON.parse(text) as { ID: string }[]).map(({ ID: id }) => id);
      assert.equal(new Set(ids).size, count + 1);
      assert.deepEqual(ids, ids.toSorted());
    });
  });

  describe('events', () => {
    it('come as they happen, filtered', async () => {
      const filters = encodeURIComponent('{"type":["service"],"event":["update","remove"]}');
      const response = await open('GET', `/v1.41/events?filters=${filters}`);
      const updated = { ...service, spec: { ...service.spec, labels: { a: 'b' } } };
      const base = backend.store.service('s1')?.meta.version ?? 0;
      await backend.propose([{ op: 'put', table: 'service', object: updated, base }]);
      const [chunk] = (await once(response, 'data')) as [Buffer];
      const event = JSON.parse(chunk.toString()) as Record<string, unknown>;
      assert.equal(event['Action'], 'update');
      assert.deepEqual(event['Actor'], { ID: 's1', Attributes: { name: 's1' } });
      assert.equal(event['scope'], 'swarm');
      response.destroy();
    });

    it('of containers are of their image as well, with any tag', async () => {
      const tell = (image: string, name: string) =>
        backend.containers.events.tell('start', {
          id: name,
          name,
          config: containerDocument.decode({ Image: image }, ''),
        });
      backend.clock.advance(1000);
      tell('host:5000/web:1', 'aa');
      tell('host:5000/webs:1', 'bb');
      const names = async (image: string) => {
        const filters = encodeURIComponent(JSON.stringify({ image: [image] }));
        const path = `/events?since=0&until=${backend.clock.nowMs() / 1000}&filters=${filters}`;
        return (await lines(await open('GET', path))).map(({ id, from }) => [id, from]);
      };
      assert.deepEqual(await names('host:5000/web'), [['aa', 'host:5000/web:1']]);
      assert.deepEqual(await names('host:5000/web:1'), [['aa', 'host:5000/web:1']]);
      assert.deepEqual(await names('web'), []);
    });

    it('are found by the start of what they say of themselves', async () => {
      const config = containerDocument.decode({ Image: 'web:1' }, '');
      const tell = (action: string) =>
        backend.containers.events.tell(action, { id: 'aa', name: 'web', config });
      for (const action of ['exec_create: sh -c true', 'health_status: healthy', 'start']) {
        tell(action);
      }
      const actions = async (...events: readonly string[]) => {
        const filters = encodeURIComponent(JSON.stringify({ event: events }));
        const path = `/events?since=0&until=${backend.clock.nowMs() / 1000}&filters=${filters}`;
        return (await lines(await open('GET', path))).map(({ Action }) => Action);
      };
      assert.deepEqual(await actions('health_status'), ['health_status: healthy']);
      assert.deepEqual(await actions('health_status: healthy'), ['health_status: healthy']);
      assert.deepEqual(await actions('health_status: unhealthy'), []);
      assert.deepEqual(await actions('exec_create', 'start'), ['exec_create: sh -c true', 'start']);
      assert.deepEqual(await actions('sta'), []);
    });

    it('of images tell their labels, and those of prunes what they have freed', async () => {
      const timeMs = backend.clock.nowMs();
      for (const listener of backend.imageListeners) {
        listener({ action: 'tag', id: 'sha256:aa', name: 'web:1', labels: { a: 'b' }, timeMs });
        listener({ action: 'prune', id: '', name: '', reclaimedBytes: 7, timeMs });
      }
      const path = `/events?since=0&until=${timeMs / 1000}`;
      assert.deepEqual(
        (await lines(await open('GET', path))).map(({ id, Actor }) => [id, Actor]),
        [
          ['sha256:aa', { ID: 'sha256:aa', Attributes: { a: 'b', name: 'web:1' } }],
          [undefined, { ID: '', Attributes: { reclaimed: '7' } }],
        ],
      );
    });

    it('of the past are there for those who ask, until the time they say', async () => {
      const base = backend.store.service('s1')?.meta.version ?? 0;
      backend.clock.advance(5000);
      await backend.propose([{ op: 'delete', table: 'service', id: 's1', base }]);
      const untilSeconds = backend.clock.nowMs() / 1000;
      const past = await lines(await open('GET', `/events?since=0&until=${untilSeconds}`));
      assert.deepEqual(
        past.map((event) => event['Action']),
        ['remove'],
      );
    });
  });

  describe('progress', () => {
    it('is a document a line', async () => {
      backend.pullImage = async (reference, { onProgress, auth } = {}) => {
        assert.equal(reference, '10.99.0.254:5000/web:1');
        assert.deepEqual(auth, undefined);
        onProgress?.({ id: 'aa', status: 'Downloading', currentBytes: 1, totalBytes: 2 });
        await realClock.sleep(1);
        onProgress?.({ id: 'aa', status: 'Pull complete' });
        return testImage;
      };
      const response = await open('POST', '/images/create?fromImage=10.99.0.254:5000/web&tag=1');
      assert.deepEqual(await lines(response), [
        { status: 'Downloading', progressDetail: { current: 1, total: 2 }, id: 'aa' },
        { status: 'Pull complete', progressDetail: {}, id: 'aa' },
      ]);
    });

    it('keeps text apart that programs look for', async () => {
      const exchange = { started: false, begin: () => undefined, end: () => undefined };
      const written: string[] = [];
      const progress = new ProgressStream({
        ...exchange,
        write: (line: string) => Promise.resolve(void written.push(line)),
      } as unknown as Exchange);
      await progress.run(async () => {
        progress.print('a\n');
        progress.print('b\n');
        progress.print('c\n');
        progress.tell('done\n');
        progress.print('d\n');
        await Promise.resolve();
      });
      assert.deepEqual(
        written.map((line) => (JSON.parse(line) as { stream: string }).stream),
        ['a\n', 'b\nc\n', 'done\n', 'd\n'],
      );
    });

    it('that never began is a status, and one that breaks off is the last line', async () => {
      const denied = new SwarmError('not-found', 'manifest unknown');
      backend.pullImage = async () => {
        throw denied;
      };
      const refused = await open('POST', '/images/create?fromImage=web&tag=2');
      assert.equal(refused.statusCode, 404);
      refused.resume();
      backend.pullImage = async (_reference, { onProgress } = {}) => {
        onProgress?.({ status: 'Pulling from web' });
        await realClock.sleep(1);
        throw denied;
      };
      const broken = await lines(await open('POST', '/images/create?fromImage=web&tag=2'));
      assert.deepEqual(broken.at(-1), {
        errorDetail: { message: 'manifest unknown' },
        error: 'manifest unknown',
      });
    });

    it('of a client that does not read keeps only the latest of each layer', async () => {
      const steps = 200_000;
      backend.pullImage = async (_reference, { onProgress } = {}) => {
        for (let step = 0; step <= steps; step++) {
          onProgress?.({ id: `layer${step % 3}`, status: 'Downloading', currentBytes: step });
          if (step % 1000 === 0) await new Promise(setImmediate);
        }
        return testImage;
      };
      const response = await open('POST', '/images/create?fromImage=web&tag=2');
      const told = await lines(response);
      assert.ok(told.length < steps / 10, `${told.length} lines were sent`);
      const detail = told.at(-1)?.['progressDetail'] as { current: number };
      assert.equal(detail.current, steps);
    });

    it('of a load tells what was loaded', async () => {
      const response = await open('POST', '/images/load', 'x'.repeat(100_000));
      assert.deepEqual(await lines(response), [{ stream: 'Loaded image: loaded/100000:1\n' }]);
    });

    it('of an import ends with the id', async () => {
      const path = '/images/create?fromSrc=-&repo=mine&tag=1&changes=CMD%20x&changes=ENV%20A=1';
      assert.deepEqual(await lines(await open('POST', path, 'tar')), [{ status: testImage.id }]);
    });
  });
});
