/** The verbs of networks against a daemon that answers as told. */
import { strict as assert } from 'node:assert';
import { runCli, type RunOptions } from '../testing/run-cli.ts';
import { StubDaemon, type Answer } from '../testing/stub-daemon.ts';

const meta = { Version: { Index: 7 }, CreatedAt: '', UpdatedAt: '' };
const service = {
  ...meta,
  ID: 'svc1',
  Spec: {
    Name: 'web',
    Mode: { Replicated: { Replicas: 1 } },
    TaskTemplate: { ContainerSpec: { Image: 'web:1' }, Networks: [{ Target: 'id-back' }] },
  },
};
const network = (name: string, ingress = false): Answer => ({
  json: { Id: `id-${name}`, Name: name, Scope: 'swarm', Driver: 'overlay', Ingress: ingress },
});
const answers: Record<string, Answer> = {
  'POST /networks/create': { json: { Id: 'id-new', Warning: 'mind the gap' } },
  'GET /networks/back': network('back'),
  'GET /networks/front': network('front'),
  'GET /networks/ingress': network('ingress', true),
  'DELETE /networks/back': { status: 204 },
  'DELETE /networks/ingress': { status: 204 },
  'POST /networks/prune': { json: { NetworksDeleted: ['a', 'b'] } },
  'POST /networks/back/connect': { status: 200 },
  'POST /networks/back/disconnect': { status: 200 },
  'GET /services/web': { json: service },
  'GET /swarm': { json: { ...meta, Spec: {} } },
  'POST /swarm/update': { status: 200 },
  'POST /services/svc1/update': { json: { Warnings: null } },
};

describe('cli/commands/network', () => {
  let daemon: StubDaemon;
  beforeEach(async () => {
    daemon = await new StubDaemon(answers).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());
  const cli = (line: string, options: RunOptions = {}) =>
    runCli(daemon.host, line.split(' '), options);

  it('creates with what is asked for', async () => {
    const ran = await cli(
      'network create -d overlay --attachable --internal --ipv6 --label tier=db -o encrypted ' +
        '--opt mtu=1400 --subnet 10.1.0.0/16,fd00:1::/64 --gateway 10.1.0.9 --scope swarm new',
    );
    assert.deepEqual(ran, { code: 0, out: 'id-new\n', err: 'WARNING: mind the gap\n' });
    assert.deepEqual(daemon.bodyOf('POST /networks/create'), {
      Name: 'new',
      CheckDuplicate: true,
      Driver: 'overlay',
      Scope: 'swarm',
      EnableIPv6: true,
      IPAM: {
        Driver: 'default',
        Options: {},
        Config: [{ Subnet: '10.1.0.0/16', Gateway: '10.1.0.9' }, { Subnet: 'fd00:1::/64' }],
      },
      Internal: true,
      Attachable: true,
      Ingress: false,
      ConfigOnly: false,
      Options: { encrypted: '', mtu: '1400' },
      Labels: { tier: 'db' },
    });
  });

  it('asks before it removes the routing mesh', async () => {
    const no = await cli('network rm ingress', { stdin: 'n\n' });
    assert.match(no.out, /\[y\/N\] $/);
    assert.ok(!daemon.asked.some(({ method }) => method === 'DELETE'));
    const yes = await cli('network rm ingress back', { stdin: 'Y\n' });
    assert.equal(yes.code, 0);
    assert.match(yes.out, /\[y\/N\] ingress\nback\n$/);
  });

  it('removes what is there, and tells what is not', async () => {
    const ran = await cli('network rm nope back');
    assert.deepEqual([ran.code, ran.out], [1, 'back\n']);
    assert.match(ran.err, /page not found/);
    assert.deepEqual(await cli('network rm -f nope'), { code: 0, out: '', err: '' });
  });

  it('prunes once that is confirmed', async () => {
    const no = await cli('network prune');
    assert.deepEqual([no.code, daemon.asked.length], [0, 0]);
    const yes = await cli('network prune --filter until=24h', { stdin: 'y\n' });
    assert.match(yes.out, /\[y\/N\] Deleted Networks:\na\nb\n\n$/);
    assert.equal(daemon.asked[0]?.query.get('filters'), '{"until":{"24h":true}}');
    assert.equal((await cli('network prune -f')).out, 'Deleted Networks:\na\nb\n\n');
  });

  it('rotates the keys of encrypted networks', async () => {
    const ran = await cli('network rotate-key');
    assert.equal(ran.code, 0, ran.err);
    assert.match(ran.out, /Every node makes itself a new key/);
    const update = daemon.asked.findLast(({ path }) => path === '/swarm/update');
    assert.equal(update?.query.get('rotateNetworkKeys'), 'true');
  });

  it('connects and disconnects', async () => {
    await cli('network connect --ip 10.1.0.5 --alias a,b --driver-opt k=v back box');
    assert.deepEqual(daemon.bodyOf('POST /networks/back/connect'), {
      Container: 'box',
      EndpointConfig: {
        IPAMConfig: { IPv4Address: '10.1.0.5' },
        Aliases: ['a', 'b'],
        DriverOpts: { k: 'v' },
      },
    });
    await cli('network disconnect -f back box');
    const expected = { Container: 'box', Force: true };
    assert.deepEqual(daemon.bodyOf('POST /networks/back/disconnect'), expected);
  });

  it('changes the networks of a service by their names', async () => {
    const networksAfter = () => {
      const body = daemon.bodyOf('POST /services/svc1/update') as typeof service.Spec;
      return body.TaskTemplate.Networks;
    };
    await cli('service update -d --network-add name=front,alias=www --network-rm back web');
    assert.deepEqual(networksAfter(), [{ Target: 'id-front', Aliases: ['www'] }]);
    await cli('service update -d --network-add front web');
    assert.deepEqual(networksAfter(), [{ Target: 'id-back' }, { Target: 'id-front' }]);
    const twice = await cli('service update -d --network-add back web');
    assert.deepEqual(twice, {
      code: 1,
      out: '',
      err: 'service is already attached to network back\n',
    });
  });
});
