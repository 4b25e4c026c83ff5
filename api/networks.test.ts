import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { makeService, makeTask } from '../manager/store/testing.ts';
import type { AssignedEndpoint, AssignedNetwork, Network, NetworkSpec } from '../types/index.ts';
import { createApiServer, type ApiServer, type NodeNetworks } from './index.ts';
import { FakeBackend } from './testing.ts';
import { parseUntil } from './until.ts';

interface Answer {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- documents are compared, not used
  readonly json: any;
}

describe('networks in the API', () => {
  let folder: string;
  let server: ApiServer;
  let backend: FakeBackend;
  let nodeId: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'api-networks-'));
    backend = new FakeBackend();
    nodeId = await backend.becomeManager();
    server = createApiServer({ backend, log: silentLogger, clock: realClock });
    await server.listen({ unixSocket: join(folder, 'docker.sock') });
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const ask = async (method: string, path: string, document?: unknown): Promise<Answer> => {
    const headers = { 'Content-Type': 'application/json' };
    const socketPath = join(folder, 'docker.sock');
    const sent = request({ socketPath, method, path: `/v1.41${path}`, headers });
    sent.end(document === undefined ? undefined : JSON.stringify(document));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, json: text === '' ? undefined : JSON.parse(text) };
  };
  const create = async (spec: object): Promise<string> => {
    const { status, json } = await ask('POST', '/networks/create', spec);
    assert.equal(status, 201, JSON.stringify(json));
    assert.equal(json.Warning, '');
    return json.Id as string;
  };
  const names = async (filters: object): Promise<string> => {
    const query = encodeURIComponent(JSON.stringify(filters));
    const { json } = await ask('GET', `/networks?filters=${query}`);
    return (json as { Name: string }[]).map(({ Name }) => Name).join(' ');
  };

  it('are made, shown and removed as Docker does', async () => {
    const id = await create({
      Name: 'back',
      Driver: 'overlay',
      Attachable: true,
      EnableIPv6: true,
      Labels: { tier: 'db' },
      Options: { encrypted: '' },
      IPAM: { Driver: 'default', Config: [{ Subnet: '10.77.0.0/24', Gateway: '10.77.0.254' }] },
    });
    const { json } = await ask('GET', '/networks/back');
    const { vni, subnets } = backend.store.network(id) as Network;
    assert.deepEqual(json, {
      Name: 'back',
      Id: id,
      Created: json.Created,
      Scope: 'swarm',
      Driver: 'overlay',
      EnableIPv4: true,
      EnableIPv6: true,
      IPAM: {
        Driver: 'default',
        Options: null,
        Config: [
          { Subnet: '10.77.0.0/24', Gateway: '10.77.0.254' },
          { Subnet: subnets[1]?.subnet, Gateway: subnets[1]?.gateway },
        ],
      },
      Internal: false,
      Attachable: true,
      Ingress: false,
      ConfigFrom: { Network: '' },
      ConfigOnly: false,
      Containers: null,
      Options: {
        'com.docker.network.driver.overlay.vxlanid_list': String(vni),
        encrypted: '',
      },
      Labels: { tier: 'db' },
    });
    for (const reference of [id, id.slice(0, 8)]) {
      assert.equal((await ask('GET', `/networks/${reference}`)).json.Name, 'back');
    }
    assert.equal((await ask('DELETE', '/networks/back')).status, 204);
    assert.equal((await ask('GET', `/networks/${id}`)).status, 404);
  });

  const refusals = [
    {
      name: 'a name twice',
      spec: { Name: 'used', Driver: 'overlay' },
      status: 409,
      says: /^network with name used already exists$/,
    },
    {
      name: 'a name that every node has',
      spec: { Name: 'host' },
      status: 409,
      says: /^network with name host already exists$/,
    },
    {
      name: 'another host network',
      spec: { Name: 'h', Driver: 'host' },
      status: 403,
      says: /^only one instance of "host" network is allowed$/,
    },
    {
      name: 'an unknown driver',
      spec: { Name: 'x', Driver: 'nope' },
      status: 404,
      says: /^plugin "nope" not found$/,
    },
    {
      name: 'a name that is none',
      spec: { Name: 'a b', Driver: 'overlay' },
      status: 400,
      says: /name/,
    },
    {
      name: 'no IPv4',
      spec: { Name: 'six', Driver: 'overlay', EnableIPv4: false },
      status: 400,
      says: /^IPv4 cannot be disabled in a Swarm scoped network$/,
    },
    {
      name: 'one of this node alone',
      spec: { Name: 'here' },
      status: 501,
      says: /networks of one node/,
    },
  ];
  for (const { name, spec, status, says } of refusals) {
    it(`refuses ${name} with ${status}`, async () => {
      await create({ Name: 'used', Driver: 'overlay' });
      const answer = await ask('POST', '/networks/create', spec);
      assert.equal(answer.status, status, JSON.stringify(answer.json));
      assert.match(answer.json.message, says);
    });
  }

  it('answers what cannot be found, removed or connected in Docker’s words', async () => {
    const cases = [
      ['GET', '/networks/nope', 404, 'network nope not found'],
      ['DELETE', '/networks/nope', 404, 'network nope not found'],
      ['DELETE', '/networks/bridge', 403, 'bridge is a pre-defined network and cannot be removed'],
      ['POST', '/networks/bridge/connect', 404, 'No such container: x'],
      ['POST', '/networks/bridge/disconnect', 404, 'No such container: x'],
      ['GET', '/networks/nope?scope=swarm', 404, 'network nope not found'],
    ] as const;
    for (const [method, path, status, message] of cases) {
      const answer = await ask(method, path, method === 'POST' ? { Container: 'x' } : undefined);
      assert.deepEqual([answer.status, answer.json.message], [status, message], path);
    }
  });

  it('that every node has are the swarm’s, too, where a service asks for them', async () => {
    for (const name of ['bridge', 'host', 'none']) {
      const local = (await ask('GET', `/networks/${name}`)).json;
      assert.deepEqual([local.Scope, local.Labels], ['local', {}]);
      const { json } = await ask('GET', `/networks/${name}?scope=swarm`);
      assert.deepEqual(
        [json.Id, json.Scope, json.Labels],
        [name, 'swarm', { 'com.docker.swarm.predefined': 'true' }],
      );
    }
  });

  it('are filtered', async () => {
    await create({ Name: 'front', Driver: 'overlay', Labels: { tier: 'web' } });
    const back = await create({ Name: 'back', Driver: 'overlay', Labels: { tier: 'db' } });
    await backend.propose([serviceOn(back)]);
    const cases: readonly (readonly [object, string])[] = [
      [{ type: ['builtin'] }, 'bridge host none'],
      [{ type: { custom: true } }, 'ingress front back'],
      [{ scope: ['swarm'], name: ['ron'] }, 'front'],
      [{ id: [back.slice(0, 6)] }, 'back'],
      [{ driver: ['null'] }, 'none'],
      [{ label: ['tier'] }, 'front back'],
      [{ label: ['tier=db'] }, 'back'],
      [{ dangling: ['true'] }, 'ingress front'],
      [{ dangling: ['false'] }, 'back bridge host none'],
    ];
    for (const [filters, expected] of cases) {
      assert.equal(await names(filters), expected, JSON.stringify(filters));
    }
    for (const filters of [{ type: ['x'] }, { dangling: ['maybe'] }, { nope: ['x'] }]) {
      const query = encodeURIComponent(JSON.stringify(filters));
      assert.equal((await ask('GET', `/networks?filters=${query}`)).status, 400);
    }
  });

  it('of this node alone are made and removed by the node', async () => {
    const spec = (name: string): NetworkSpec => ({ name, labels: {}, driver: 'bridge' });
    const made = new Map<string, NetworkSpec>([['used1', spec('used')]]);
    const users = new Map([['box', ['172.18.0.2/16']]]);
    const endpoint = (node: string): AssignedEndpoint => ({
      id: `over1/${node}`,
      networkId: 'over1',
      taskId: node,
      serviceId: 'web',
      nodeId: node === 'here' ? nodeId : node,
      addresses: ['10.0.1.5/24'],
      names: [`web.1.${node}`],
      aliases: [],
      active: true,
    });
    const overlay: AssignedNetwork = {
      id: 'over1',
      name: 'over',
      driver: 'overlay',
      vni: 4096,
      subnets: [{ subnet: '10.0.1.0/24', gateway: '10.0.1.1' }],
      internal: false,
      ingress: false,
      encrypted: false,
      dataPathPort: 4789,
      options: {},
    };
    const networks: NodeNetworks = {
      bridge: { subnet: '172.17.0.0/16', gateway: '172.17.0.1' },
      tables: {
        networks: () => [overlay],
        endpointsOf: () => [endpoint('here'), endpoint('there')],
      },
      local: {
        create: async (asked) => {
          made.set('new1', asked);
          return { id: 'new1', warning: '' };
        },
        list: () =>
          [...made].map(([id, one]) => ({
            id,
            spec: one,
            createdAtMs: 0,
            subnets: [{ subnet: '172.18.0.0/16', gateway: '172.18.0.1' }],
          })),
        remove: async (id) => void made.delete(id),
        users: (id) => (id === 'used1' ? users : new Map()),
      },
    };
    Object.assign(backend, { networks });
    assert.equal(await create({ Name: 'here', Labels: { tier: 'db' } }), 'new1');
    assert.equal(made.get('new1')?.driver, 'bridge');
    assert.equal(await names({ scope: ['local'], type: ['custom'] }), 'used here');
    assert.equal(await names({ dangling: ['true'], scope: ['local'] }), 'here');
    const bridge = (await ask('GET', '/networks/bridge')).json;
    assert.deepEqual(bridge.IPAM.Config, [{ Subnet: '172.17.0.0/16', Gateway: '172.17.0.1' }]);
    const { json } = await ask('GET', '/networks/used');
    assert.deepEqual([json.Scope, json.Driver, json.Options], ['local', 'bridge', {}]);
    assert.deepEqual((await ask('POST', '/networks/prune')).json, { NetworksDeleted: ['here'] });
    assert.equal((await ask('DELETE', '/networks/used')).status, 204);
    assert.deepEqual([...made], []);
    // A worker knows only the networks of the swarm that it takes part in.
    assert.equal(await names({ driver: ['overlay'] }), 'ingress');
    backend.status = { ...backend.status, isManager: false };
    assert.equal(await names({ driver: ['overlay'] }), 'over');
    const over = (await ask('GET', '/networks/over')).json;
    const containers = Object.values<{ Name: string }>(over.Containers);
    assert.deepEqual(
      containers.map(({ Name }) => Name),
      ['web.1.here'],
    );
    const removed = await ask('DELETE', '/networks/over');
    assert.deepEqual(
      [removed.status, /not a swarm manager/.test(removed.json.message)],
      [503, true],
    );
  });

  it('are pruned where nobody uses them', async () => {
    const back = await create({ Name: 'back', Driver: 'overlay' });
    for (const tier of ['db', 'web']) {
      await create({ Name: tier, Driver: 'overlay', Labels: { tier } });
    }
    await backend.propose([serviceOn(back)]);
    const prune = async (filters: object) => {
      const query = encodeURIComponent(JSON.stringify(filters));
      return (await ask('POST', `/networks/prune?filters=${query}`)).json;
    };
    assert.deepEqual(await prune({ until: ['2020-01-01'] }), { NetworksDeleted: null });
    assert.deepEqual(await prune({ 'label!': ['tier=web'] }), { NetworksDeleted: ['db'] });
    assert.deepEqual(await prune({}), { NetworksDeleted: ['web'] });
    assert.deepEqual(await prune({}), { NetworksDeleted: null });
    const used = await ask('DELETE', '/networks/back');
    assert.deepEqual(
      [used.status, used.json.message],
      [400, `network ${back} is in use by service web`],
    );
  });

  it('tell what is on them, and tasks and services tell of their networks', async () => {
    const id = await create({ Name: 'back', Driver: 'overlay' });
    const web = serviceOn(id);
    const networks = [{ networkId: id, addresses: ['10.0.0.5/24'] }];
    const container = { containerId: 'web.1.t1', pid: 7 };
    await backend.propose([
      web,
      {
        op: 'put',
        table: 'task',
        base: 0,
        object: makeTask('t1', web.object, {
          nodeId,
          networks,
          status: { state: 'running', atMs: 0, message: '', container },
        }),
      },
    ]);
    const { json } = await ask('GET', '/networks/back?verbose=true');
    const EndpointID = `${id}/t1`;
    const hexId = createHash('sha256').update('web.1.t1').digest('hex');
    assert.deepEqual(json.Containers, {
      [hexId]: {
        Name: 'web.1.t1',
        EndpointID,
        MacAddress: '02:42:0a:00:00:05',
        IPv4Address: '10.0.0.5/24',
        IPv6Address: '',
      },
    });
    assert.deepEqual(json.Peers, [{ Name: nodeId.slice(0, 12), IP: '10.99.0.1' }]);
    assert.deepEqual(json.Services, {
      web: {
        VIP: '10.0.0.2',
        Ports: [],
        LocalLBIndex: 0,
        Tasks: [
          {
            Name: 'web.1.t1',
            EndpointID,
            EndpointIP: '10.0.0.5',
            Info: { 'Host IP': '10.99.0.1' },
          },
        ],
      },
    });
    const service = (await ask('GET', '/services/web')).json;
    assert.deepEqual(service.Endpoint.VirtualIPs, [{ NetworkID: id, Addr: '10.0.0.2/24' }]);
    const [attachment] = (await ask('GET', '/tasks')).json[0].NetworksAttachments;
    assert.deepEqual(attachment.Addresses, ['10.0.0.5/24']);
    assert.equal(attachment.Network.ID, id);
    assert.deepEqual(attachment.Network.Spec, {
      Name: 'back',
      Labels: {},
      DriverConfiguration: { Name: 'overlay' },
      Scope: 'swarm',
    });
  });
});

describe('until', () => {
  const nowMs = Date.UTC(2026, 10, 21, 12);
  const cases = [
    { text: '90m', expect: nowMs - 5_400_000 },
    { text: '1h30m', expect: nowMs - 5_400_000 },
    { text: '1136073600', expect: 1_136_073_600_000 },
    { text: '2026-11-21', expect: Date.UTC(2026, 10, 21) },
    { text: '2026-11-21T10:00:00Z', expect: nowMs - 7_200_000 },
  ];
  for (const { text, expect } of cases) {
    it(`reads ${text}`, () => assert.equal(parseUntil(text, nowMs), expect));
  }
  for (const text of ['', 'soon', '5 m', '10mx', '2026-13-45']) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseUntil(text, nowMs), { code: 'invalid-argument' });
    });
  }
});

/** A service `web` on the network, with its address there. */
function serviceOn(networkId: string) {
  const spec = {
    name: 'web',
    labels: {},
    mode: { replicated: { replicas: 1 } },
    task: { container: { image: 'web:1' }, networks: [{ target: networkId }], forceUpdate: 0 },
  };
  const virtualIps = [{ networkId, address: '10.0.0.2/24' }];
  const object = makeService('web', { spec, virtualIps });
  return { op: 'put' as const, table: 'service' as const, object, base: 0 };
}
