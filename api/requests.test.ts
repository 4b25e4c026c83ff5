/** What is read of a request: versions and routes, filters, names, credentials. */
import { strict as assert } from 'node:assert';
import { SwarmError } from '../lib/errors.ts';
import { Store } from '../manager/store/index.ts';
import { MemoryLog } from '../manager/store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../manager/store/testing.ts';
import { Filters } from './filters.ts';
import { imageFilterKeys, imageMatcher } from './image-filters.ts';
import { findNode, findService, findTask } from './lookup.ts';
import { parseRegistryAuth } from './registry-auth.ts';
import { Router, splitVersion } from './router.ts';
import { testImage } from './testing.ts';

describe('versions in paths', () => {
  const good = [
    { given: '/v1.41/info', minor: 41, path: '/info' },
    { given: '/v1.24/_ping', minor: 24, path: '/_ping' },
    { given: '/info', minor: 50, path: '/info' },
    { given: '/volumes/v1', minor: 50, path: '/volumes/v1' },
  ];
  for (const { given, minor, path } of good) {
    it(`reads ${given}`, () => assert.deepEqual(splitVersion(given), { minor, path }));
  }

  it('refuses what is too new or too old, as Docker does', () => {
    assert.throws(() => splitVersion('/v1.99/info'), {
      message: 'client version 1.99 is too new. Maximum supported API version is 1.50',
    });
    assert.throws(() => splitVersion('/v1.12/info'), {
      message:
        'client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade ' +
        'your client to a newer version',
    });
    assert.throws(() => splitVersion('/v2.0/info'), /too new/);
  });
});

describe('routes', () => {
  const handle = () => undefined;
  const router = new Router([
    { method: 'GET', path: '/images/{name...}/json', handle },
    { method: 'GET', path: '/images/json', handle },
    { method: 'DELETE', path: '/nodes/{id}', handle },
  ]);

  it('take names with slashes only where they may be', () => {
    const { params } = router.match('GET', '/images/10.0.0.1:5000/team%2Fweb:1/json');
    assert.equal(params['name'], '10.0.0.1:5000/team/web:1');
    assert.throws(() => router.match('DELETE', '/nodes/a/b'), { message: 'page not found' });
    assert.throws(() => router.match('GET', '/nodes/a'), { code: 'not-found' });
    assert.throws(() => router.match('DELETE', '/nodes/%zz'), { code: 'invalid-argument' });
  });
});

describe('filters', () => {
  it('are read in both of Docker’s forms', () => {
    for (const text of ['{"name":{"a":true,"b":true}}', '{"name":["a","b"]}']) {
      assert.deepEqual(Filters.parse(text, ['name']).get('name'), ['a', 'b']);
    }
    assert.ok(Filters.parse(null, []).any('name', () => false));
  });

  for (const text of ['{', '[]', '1', '{"name":1}', '{"name":[1]}', 'null']) {
    it(`refuse ${text}`, () => {
      assert.throws(() => Filters.parse(text, ['name']), { message: 'invalid filter' });
    });
  }

  it('refuse a key that nobody knows', () => {
    assert.throws(() => Filters.parse('{"nam":["a"]}', ['name']), {
      message: "invalid filter 'nam'",
    });
  });

  it('match labels by key, or by key and value', () => {
    const filters = Filters.parse('{"label":["a","b=1=2"]}', ['label']);
    assert.ok(filters.labels('label', { a: 'x', b: '1=2' }));
    assert.ok(!filters.labels('label', { a: 'x', b: '1' }));
    assert.ok(!filters.labels('label', { b: '1=2' }));
    assert.ok(!Filters.parse('{"label":["constructor"]}', ['label']).labels('label', {}));
  });
});

describe('names', () => {
  async function view() {
    const store = new Store(new MemoryLog());
    await store.open();
    const description = {
      hostname: 'h1',
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 1, memoryBytes: 1 },
      engine: { version: '', labels: {}, plugins: [] },
    };
    const web = makeService('abc1', { spec: { ...makeService('web').spec, name: 'web' } });
    const api = makeService('abc2', { spec: { ...makeService('api').spec, name: 'api' } });
    const task = makeTask('t1', web);
    const every = makeService('every');
    const running = { state: 'running', atMs: 0, message: '' } as const;
    const onEach = ['n1', 'n2'].map((nodeId) =>
      makeTask(`on-${nodeId}`, every, {
        slot: 0,
        nodeId,
        name: `every.${nodeId}`,
        status: running,
      }),
    );
    await store.propose(
      [
        { op: 'put', table: 'service', object: web, base: 0 },
        { op: 'put', table: 'service', object: api, base: 0 },
        { op: 'put', table: 'node', object: makeNode('n1', { description }), base: 0 },
        { op: 'put', table: 'node', object: makeNode('n2', { description }), base: 0 },
        { op: 'put', table: 'service', object: every, base: 0 },
        ...[task, ...onEach].map(
          (object) => ({ op: 'put', table: 'task', object, base: 0 }) as const,
        ),
      ],
      { atMs: 0 },
    );
    return store;
  }

  it('are ids, names, and starts of ids, in this order', async () => {
    const store = await view();
    assert.equal(findService(store, 'web').id, 'abc1');
    assert.equal(findService(store, 'abc2').id, 'abc2');
    assert.equal(findTask(store, 'web.1.t1').id, 't1');
    assert.equal(findTask(store, 'every.n2').id, 'on-n2');
    assert.equal(findNode(store, 'n2').id, 'n2');
  });

  it('may be unknown or ambiguous', async () => {
    const store = await view();
    const cases = [
      { run: () => findService(store, 'nope'), says: 'service nope not found' },
      { run: () => findService(store, ''), says: 'service  not found' },
      { run: () => findService(store, 'abc'), says: 'service abc is ambiguous (2 matches found)' },
      { run: () => findNode(store, 'h1'), says: 'node h1 is ambiguous (2 matches found)' },
      { run: () => findTask(store, 'x'), says: 'task x not found' },
      {
        run: () => findTask(store, 'every.h1'),
        says:
          'task every.h1 is ambiguous, as several nodes have that name: ' +
          'name one of every.n1, every.n2',
      },
    ];
    for (const { run, says } of cases) assert.throws(run, { message: says });
  });
});

describe('credentials', () => {
  const encode = (document: unknown) => Buffer.from(JSON.stringify(document)).toString('base64url');

  it('are read from the header, in the old form too', () => {
    assert.deepEqual(parseRegistryAuth(encode({ username: 'u', password: 'p' })), {
      username: 'u',
      password: 'p',
    });
    const auth = Buffer.from('u:p:q').toString('base64');
    assert.deepEqual(parseRegistryAuth(encode({ auth })), { username: 'u', password: 'p:q' });
    assert.equal(parseRegistryAuth(encode({})), undefined);
    assert.equal(parseRegistryAuth(''), undefined);
  });

  it('that are garbage are refused', () => {
    for (const header of ['%%%', encode(1), encode({ auth: 'eA==' })]) {
      assert.throws(() => parseRegistryAuth(header), SwarmError);
    }
  });
});

describe('image filters', () => {
  const matches = (filters: string) =>
    imageMatcher(Filters.parse(filters, imageFilterKeys), [testImage], () => 1000)(testImage);

  const cases: { filters: string; expect: boolean }[] = [
    { filters: '{"reference":["10.99.0.254:5000/*"]}', expect: true },
    { filters: '{"reference":["*/web:1"]}', expect: true },
    { filters: '{"reference":["web"]}', expect: false },
    { filters: '{"dangling":["true"]}', expect: false },
    { filters: '{"label":["tier=web"]}', expect: true },
    { filters: '{"label!":["tier=web"]}', expect: false },
    { filters: '{"until":["0.5"]}', expect: false },
    { filters: '{"since":["10.99.0.254:5000/web:1"]}', expect: false },
  ];
  for (const { filters, expect } of cases) {
    it(`${filters} ${expect ? 'lets pass' : 'keeps out'}`, () => {
      assert.equal(matches(filters), expect);
    });
  }

  it('refuse an image that is not there, and nonsense', () => {
    assert.throws(() => matches('{"before":["nope"]}'), { code: 'not-found' });
    assert.throws(() => matches('{"dangling":["maybe"]}'), { code: 'invalid-argument' });
  });
});
