/** The verbs of `docker network`, and networks as services have them. */
import { strict as assert } from 'node:assert';
import { until, type Host } from '../lab/index.ts';
import { dockers, newDocker, oldDocker, ownCli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';
import { linkLocals, ownLinks } from './link-scripts.ts';
import { all, create, type Test } from './service-cases.ts';
import type { Json } from './sight.ts';
import { same } from './swarm-cases.ts';

const noConfig = 'overlay networks have no configuration networks; give the options themselves';

/** Told alike by either daemon, where networks `one` and `two` are there. */
const alike: readonly string[] = [
  'network create -d overlay one',
  'network create -d overlay bridge',
  'network create -d host other',
  'network create -d overlay --ingress other',
  'network create -d overlay --subnet 10.1.0.0/16 --subnet 10.1.1.0/24 other',
  'network create -d overlay --gateway 10.1.0.1 other',
  'network inspect nosuch',
  'network inspect --format {{.Name}}:{{.Driver}}:{{.Attachable}}:{{.Labels}} one two',
  'network rm nosuch',
  'network rm bridge',
  'network connect one nosuch',
  'network disconnect one nosuch',
  'network disconnect -f nosuch other',
  'network ls --filter driver=overlay --format {{.Name}}:{{.Driver}}:{{.Scope}}',
  'network ls --filter label=tier --format {{.Name}}:{{.IPv6}}:{{.Internal}}:{{.Labels}}',
  'network ls --filter name=one --format {{.Name}}',
  'network ls --filter scope=swarm --filter type=custom --format {{.Name}}',
  'network ls --filter type=builtin --format {{.Name}}:{{.Driver}}',
  'network ls --filter dangling=maybe',
];

export function networkCases(get: () => Field): void {
  shows(
    'networks are made from configurations',
    'network create',
    '--config-only',
    '--config-from',
  );
  const title = 'networks come to containers that run, and leave them';
  shows(title, 'network connect', '', '--alias', '--ip', '--ip6');
  shows(title, 'network disconnect', '', '--force');
  shows('test/cluster/container-run.test.ts', 'network connect', '--driver-opt', '--gw-priority');
  shows(ownLinks, 'network connect', '--link');
  shows(linkLocals, 'network connect', '--link-local-ip');
  const noted = new Set<string>();
  for (const cli of dockers) {
    describe(`networks, by ${cli.name}`, () => {
      afterEach(async () => {
        await get().clear();
        for (const host of [get().manager, get().dockerd]) await clear(host);
      });
      const test: Test = (title, verbs, work) => {
        if (!noted.has(title)) {
          for (const [verb, flags] of Object.entries(verbs)) shows(title, verb, ...flags);
        }
        noted.add(title);
        it(title, () => work(get(), cli));
      };
      making(test);
      looking(test);
      serving(test);
    });
  }
}

/** All but the routing mesh's. */
async function clear(host: Host): Promise<void> {
  const filters = encodeURIComponent('{"scope":["swarm"],"type":["custom"]}');
  const left = await host.api<{ Id: string; Name: string; Ingress: boolean }[]>(
    'GET',
    `/networks?filters=${filters}`,
  );
  for (const { Id, Name, Ingress } of left) {
    if (Ingress) continue;
    await until('the network can be removed', async () => {
      const { status } = await host.apiResult('DELETE', `/networks/${Id}`);
      return status === 204 || status === 404;
    });
    // Docker's node lets go of its part a while after its managers have.
    await until('its name is free', async () => {
      return (await host.apiResult('GET', `/networks/${Name}`)).status === 404;
    });
  }
}

function making(test: Test): void {
  const ofNewer = newDocker === undefined ? [] : ['--ipv4'];
  test(
    'network create takes every option',
    {
      'network create': all(
        '--attachable',
        '--aux-address',
        '--driver',
        '--gateway',
        '--internal',
        '--ip-range',
        '--ipam-driver',
        '--ipam-opt',
        ...ofNewer,
        '--ipv6',
        '--label',
        '--opt',
        '--scope',
        '--subnet',
      ),
    },
    async (field, cli) => {
      const flags =
        '--driver overlay --attachable --internal --ipv6 --scope swarm --label tier=db ' +
        '--opt encrypted= --ipam-driver default --subnet 10.77.0.0/24 --subnet fd00:77::/64 ' +
        '--gateway 10.77.0.254 --ip-range 10.77.0.128/25 --aux-address printer=10.77.0.200';
      const words = flags.split(' ');
      if (cli !== oldDocker) words.push('--ipv4');
      const documents = await Promise.all(
        [field.manager, field.dockerd].map(async (host) => {
          const id = await cli.run(host, 'network', 'create', ...words, 'full');
          assert.match(id, /^[0-9a-z]{25}\n$/);
          // Docker gives it its number a moment later.
          return until(
            'the network has its number',
            async () => {
              const inspected = await cli.run(host, 'network', 'inspect', 'full');
              return (JSON.parse(inspected) as Json[])[0];
            },
            { accept: ({ Options }) => Options !== null },
          );
        }),
      );
      const [ours, theirs] = documents.map((one: Json) => {
        const { Id: _id, Created: _created, Options, IPAM, EnableIPv4: _v4, ...rest } = one;
        const { 'com.docker.network.driver.overlay.vxlanid_list': vni, ...options } = Options;
        assert.match(vni, /^\d+(,\d+)?$/);
        // Docker has the subnets in any order, and forgets the auxiliary addresses.
        IPAM.Config.sort((a: Json, b: Json) => (a.Subnet < b.Subnet ? -1 : 1));
        for (const config of IPAM.Config) delete config.AuxiliaryAddresses;
        return { ...rest, IPAM, options };
      });
      assert.deepEqual(ours, theirs);
      const { manager } = field;
      const given = ['--ipam-opt', 'a=b', '-d', 'overlay', 'lean'];
      await cli.run(manager, 'network', 'create', ...given);
      const format = '{{.IPAM.Options}}';
      const options = await cli.run(manager, 'network', 'inspect', '-f', format, 'lean');
      assert.equal(options, 'map[a:b]\n');
      const from = ['network', 'create', '-d', 'overlay', '--config-from', 'lean', 'other'];
      assert.match((await cli.result(manager, from)).stderr, new RegExp(noConfig));
    },
  );

  test(
    'network create --ingress makes another routing mesh in the place of the first',
    { 'network create': ['--ingress'] },
    async ({ manager }, cli) => {
      const removed = await cli.result(manager, ['network', 'rm', 'ingress'], { input: 'y\n' });
      assert.equal(removed.code, 0, removed.stderr);
      const words = ['-d', 'overlay', '--ingress', '--subnet', '10.88.0.0/24', 'ingress'];
      await cli.run(manager, 'network', 'create', ...words);
      const format = '{{.Ingress}} {{(index .IPAM.Config 0).Subnet}}';
      const shown = await cli.run(manager, 'network', 'inspect', '-f', format, 'ingress');
      assert.equal(shown, 'true 10.88.0.0/24\n');
    },
  );

  test(
    'network rm and prune remove what nobody uses',
    {
      'network rm': newDocker === undefined ? all() : all('--force'),
      'network prune': all('--filter', '--force'),
    },
    async (field, cli) => {
      const { manager } = field;
      const make = (name: string, ...flags: string[]) =>
        cli.run(manager, 'network', 'create', '-d', 'overlay', ...flags, name);
      // A hyphen is in no id, of which the name could be taken for the beginning.
      for (const name of ['gone-1', 'gone-2', 'used']) await make(name);
      await make('kept', '--label', 'keep=1');
      await create(field, cli, 'web', '--network', 'used', '--replicas', '0');
      assert.equal(await cli.run(manager, 'network', 'rm', 'gone-1'), 'gone-1\n');
      const used = await cli.result(manager, ['network', 'rm', 'used', 'gone-1']);
      assert.equal(used.code, 1);
      assert.match(used.stderr, /network \w{25} is in use by service \w{25}\n/);
      assert.match(used.stderr, /gone-1 not found|No such network: gone-1/);
      if (cli !== oldDocker) {
        assert.equal((await cli.result(manager, ['network', 'rm', '-f', 'gone-1'])).code, 0);
      }
      const prune = (...flags: string[]) =>
        cli.result(manager, ['network', 'prune', ...flags], { input: 'n\n' });
      assert.match((await prune()).stdout, /^WARNING! [^]*\[y\/N\] $/);
      const old = await prune('-f', '--filter', 'until=1h');
      assert.equal(old.stdout, '');
      const pruned = await prune('--force', '--filter', 'label!=keep');
      assert.equal(pruned.stdout, 'Deleted Networks:\ngone-2\n\n');
      const left = await cli.lines(manager, 'network', 'ls', '--format', '{{.Name}}');
      assert.deepEqual(left, ['bridge', 'host', 'ingress', 'kept', 'none', 'used']);
    },
  );
}

function looking(test: Test): void {
  test(
    'network ls and inspect show the same as Docker’s, also where something is wrong',
    {
      'network ls': all('--filter', '--format', '--no-trunc', '--quiet'),
      'network inspect': all('--format'),
    },
    async (field, cli) => {
      for (const host of [field.manager, field.dockerd]) {
        await cli.run(host, 'network', 'create', '-d', 'overlay', '--attachable', 'one');
        const labelled = ['-d', 'overlay', '--label', 'tier=db', 'two'];
        await cli.run(host, 'network', 'create', ...labelled);
      }
      for (const line of alike) await same(cli, field, line.split(' '));
      const { manager } = field;
      const own = ['network ls', 'network ls -q', 'network ls --no-trunc', 'network inspect one'];
      for (const line of own) {
        const words = line.split(' ');
        assert.equal(await ownCli.run(manager, ...words), await cli.run(manager, ...words), line);
      }
    },
  );

  test(
    'network inspect --verbose shows services, tasks and nodes',
    { 'network inspect': ['--verbose'] },
    async (field, cli) => {
      const { manager } = field;
      await cli.run(manager, 'network', 'create', '-d', 'overlay', 'one');
      await create(field, cli, 'web', '--network', 'one', '--mode', 'global');
      await field.runs('web', 3);
      const look = async () => {
        const inspected = await cli.run(manager, 'network', 'inspect', '-v', 'one');
        return (JSON.parse(inspected) as Json[])[0];
      };
      const network = await until('all of it is known', look, {
        accept: ({ Peers, Services }) => Peers?.length === 3 && Services?.web?.Tasks.length === 3,
      });
      assert.match(network.Services.web.VIP, /^10\./);
      const [own] = Object.values<Json>(network.Containers);
      assert.match(own.IPv4Address, /^10\.[\d.]+\/25$/);
      assert.match(own.MacAddress, /^02:42:0a:/);
    },
  );
}

function serving(test: Test): void {
  test(
    'services are on networks, with aliases, and publish ports on every node',
    {
      'service create': ['--network', '--publish'],
      'service update': ['--network-add', '--network-rm'],
    },
    async (field, cli) => {
      const { manager } = field;
      for (const host of [manager, field.dockerd]) {
        await cli.run(host, 'network', 'create', '-d', 'overlay', 'one');
        const image = field.image('sleeper:1');
        const flags = ['--network', 'name=one,alias=www,driver-opt=a=b', '--publish', '18095:80'];
        await cli.run(host, 'service', 'create', '-d', '--name', 'web', ...flags, image);
        await field.runs('web', 1, host);
      }
      await same(cli, field, ['service', 'inspect', '--pretty', 'web']);
      const format = '{{json .Spec.TaskTemplate.Networks}} {{json .Endpoint.Ports}}';
      await same(cli, field, ['service', 'inspect', '--format', format, 'web']);
      await same(cli, field, ['service', 'ls', '--format', '{{.Name}} {{.Ports}}']);
      await cli.run(manager, 'network', 'create', '-d', 'overlay', 'two');
      const changes = ['--network-add', 'two', '--network-rm', 'one', '-d'];
      await cli.run(manager, 'service', 'update', ...changes, 'web');
      const shown = await cli.run(manager, 'service', 'inspect', '--pretty', 'web');
      assert.match(shown, /Networks: two/);
    },
  );

  test('an event tells of each network that comes and goes', {}, async (field, cli) => {
    const { manager } = field;
    const since = String(Math.floor(Date.now() / 1000));
    await cli.run(manager, 'network', 'create', '-d', 'overlay', 'told');
    await cli.run(manager, 'network', 'rm', 'told');
    const events = await until(
      'both are told',
      async () => {
        const until_ = String(Math.floor(Date.now() / 1000) + 1);
        const flags = ['--since', since, '--until', until_, '--filter', 'network=told'];
        return cli.lines(manager, 'events', ...flags, '--format', '{{.Type}} {{.Action}}');
      },
      { accept: (lines) => lines.length >= 2 },
    );
    assert.deepEqual(events, ['network create', 'network remove']);
  });
}
