/** Services whose number of replicas follows what is measured of them, on real hosts. */
import { strict as assert } from 'node:assert';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { until } from '../lab/index.ts';
import { buy, shop } from './counting-shop.ts';
import { imageOf, useSwarm, words, type TaskView, type TestSwarm } from './swarm.ts';

interface ScaledView {
  readonly Spec: { readonly Mode: { readonly Replicated: { readonly Replicas: number } } };
  readonly Autoscale?: {
    readonly State: string;
    readonly Message?: string;
    readonly LastScaled?: { readonly From: number; readonly To: number; readonly Reason: string };
  };
}

/** Works with all its might while it is told to, in a loop of the shell. */
const worker = [
  'sh',
  '-c',
  'while :; do i=0; if test -e /busy; then while test $i -lt 3000; do i=$((i+1)); done; ' +
    'else sleep 1; fi; done',
];
const answers = ['nc', '-ll', '-p', '80', '-e', 'cat'];

function tryConnect(address: string, port: number): Promise<Socket | undefined> {
  const socket = connect(port, address);
  const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
  socket.once('data', () => resolve(socket));
  for (const end of ['error', 'close']) socket.once(end, () => resolve(undefined));
  // A packet that nobody answers is not waited for.
  socket.setTimeout(10_000, () => socket.destroy());
  socket.write('hello');
  return promise;
}

describe('autoscaling', () => {
  const get = useSwarm({ hosts: 2, images: ['busybox:1'] });

  const scaled = (swarm: TestSwarm, name: string) =>
    swarm.manager.api<ScaledView>('GET', `/services/${name}`);
  const untilReplicas = (swarm: TestSwarm, name: string, replicas: number) =>
    until(`${name} has ${replicas} replicas`, () => scaled(swarm, name), {
      accept: ({ Spec }) => Spec.Mode.Replicated.Replicas === replicas,
      timeoutMs: 60_000,
    });

  /** A connection that somebody has answered on; the routing mesh may need a moment. */
  const connected = (address: string, port: number): Promise<Socket> =>
    until(`somebody answers at ${address}:${port}`, () => tryConnect(address, port), {
      accept: (socket) => socket !== undefined,
      timeoutMs: 60_000,
    }).then((socket) => socket?.setTimeout(0) ?? assert.fail('it was accepted'));

  it('follows processor time up and down again, and says so', async () => {
    const swarm = get();
    // A busy machine may give a replica next to nothing for a while: that is no lack of work.
    const bounds = 'min=1,max=3,cpu=20%';
    const flags = words(`--limit-cpu 0.1 --autoscale ${bounds},window=20s`);
    await swarm.create('burn', ...flags, imageOf(swarm, 'busybox:1'), ...worker);
    const markOf = (task: TaskView) => `/proc/${swarm.pidOf(task)}/root/busy`;
    for (const task of await swarm.runs('burn', 1)) await writeFile(markOf(task), '');
    const grown = await untilReplicas(swarm, 'burn', 3);
    assert.equal(grown.Autoscale?.LastScaled?.To, 3);
    assert.match(grown.Autoscale?.LastScaled?.Reason ?? '', /^cpu at \d+% \(target 20%\)$/);
    const all = await swarm.runs('burn', 3);
    for (const task of all) await writeFile(markOf(task), '');
    assert.match(
      await swarm.cli('service', 'ls', '--format', '{{.Replicas}}'),
      /^3\/3 \(autoscaled 1 to 3\)\n$/,
    );
    assert.match(
      await swarm.cli('service', 'inspect', '--pretty', 'burn'),
      /\n Last Scaled:\tfrom [12] to 3, .* ago: cpu at /,
    );
    assert.match(await swarm.cli('explain', 'burn'), /autoscaled from [12] to 3: cpu at /);
    assert.match(
      await swarm.cli('history', 'burn'),
      /managers .*autoscaled from [12] to 3: cpu at /,
    );
    // The same file again, and a person's wish, take no replicas from under the load.
    // Docker's CLI does not try again where the managers have noted something meanwhile.
    const scaling = () => swarm.manager.docker('service', 'scale', '-d', 'burn=1');
    assert.match(await until('docker scales', scaling), /burn scaled to 1/);
    assert.equal((await scaled(swarm, 'burn')).Spec.Mode.Replicated.Replicas, 3);
    const refused = await swarm.manager.cliResult('service', 'scale', 'burn=1');
    assert.match(refused.stderr, /burn is autoscaled from 1 to 3: change the bounds with/);
    await swarm.cli('service', 'update', '--autoscale', `${bounds},window=1s`, 'burn');
    for (const task of all) await rm(markOf(task));
    await untilReplicas(swarm, 'burn', 1);
    await swarm.runs('burn', 1);
    await swarm.cli('service', 'update', '--autoscale', 'none', '--replicas', '2', 'burn');
    const without = await scaled(swarm, 'burn');
    assert.equal(without.Spec.Mode.Replicated.Replicas, 2);
    assert.equal(without.Autoscale, undefined);
  });

  it('follows open connections, however they come', async () => {
    const swarm = get();
    const label = ['--label', 'ts-swarm.autoscale=max=4,connections=2,window=1s'];
    const options = ['-d', '--name', 'talk', '-p', '8090:80', ...label];
    const image = imageOf(swarm, 'busybox:1');
    await swarm.manager.docker('service', 'create', ...options, image, ...answers);
    await swarm.runs('talk', 1);
    const sockets: Socket[] = [];
    try {
      for (const host of swarm.hosts) {
        sockets.push(...(await Promise.all([1, 2, 3].map(() => connected(host.address, 8090)))));
      }
      const grown = await untilReplicas(swarm, 'talk', 3);
      // How many there are at each look, and to how many replicas, is as quick as they come.
      const { To: to, Reason: reason = '' } = grown.Autoscale?.LastScaled ?? {};
      assert.equal(to, 3);
      assert.match(reason, /^connections at [\d.]+ \(target 2\)$/);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await untilReplicas(swarm, 'talk', 1);
  });

  it('follows how many connections are made', async () => {
    const swarm = get();
    const flags = words('-p 8091:80 --autoscale max=2,connection-rate=1,window=1s');
    await swarm.create('visits', ...flags, imageOf(swarm, 'busybox:1'), ...answers);
    const grown = await until(
      'visits has 2 replicas',
      async () => {
        const visits = [1, 2, 3].map(() => connected(swarm.manager.address, 8091));
        for (const socket of await Promise.all(visits)) socket.destroy();
        return scaled(swarm, 'visits');
      },
      { accept: ({ Spec }) => Spec.Mode.Replicated.Replicas === 2, timeoutMs: 60_000, everyMs: 20 },
    );
    const reason = grown.Autoscale?.LastScaled?.Reason ?? '';
    assert.match(reason, /^connection-rate at [\d.]+\/s \(target 1\/s\)$/);
  });

  it('follows the requests that replicas count, and takes none away where they cannot be read', async () => {
    const swarm = get();
    const problem = /requests are not known of any replica, as of shop\.\d: \S+ answers HTTP 404/;
    const settings = 'max=3,requests=0.2/s,metrics=80/cgi-bin/metrics,window=1s';
    const flags = ['-p', '8092:80', '--autoscale', settings];
    await swarm.create('shop', ...flags, imageOf(swarm, 'busybox:1'), 'sh', '-c', shop);
    const closing = new AbortController();
    const customers = [1, 2, 3].map(async () => {
      while (!closing.signal.aborted) await buy(swarm.manager.address, 8092);
    });
    try {
      const grown = await untilReplicas(swarm, 'shop', 3);
      const reason = grown.Autoscale?.LastScaled?.Reason ?? '';
      assert.match(reason, /^requests at [\d.]+\/s \(target 0\.2\/s\)$/);
      for (const task of await swarm.runs('shop', 3)) {
        const metrics = `/proc/${swarm.pidOf(task)}/root/www/cgi-bin/metrics`;
        // A replica runs a moment before its shop is open.
        await until('its metrics are taken away', () => rm(metrics).then(() => true));
      }
      await until('shop is held', () => scaled(swarm, 'shop'), {
        accept: ({ Autoscale }) =>
          Autoscale?.State === 'held' && problem.test(Autoscale.Message ?? ''),
      });
    } finally {
      closing.abort();
      await Promise.all(customers);
    }
    // Nobody buys any more; but of no replica can that be told.
    const { Autoscale, Spec } = await scaled(swarm, 'shop');
    assert.match(Autoscale?.Message ?? '', problem);
    assert.match(await swarm.cli('explain', 'shop'), problem);
    assert.match((await swarm.manager.cliResult('service', 'ps', 'shop')).stderr, problem);
    assert.equal(Spec.Mode.Replicated.Replicas, 3);
  });

  it('follows a query of a Prometheus server, down to none', async () => {
    const swarm = get();
    const { manager } = swarm;
    const folder = join(swarm.lab.folder, 'jobs');
    const gauge = (value: number) => writeFile(join(folder, 'metrics'), `jobs ${value}\n`);
    await mkdir(folder, { recursive: true });
    await gauge(0);
    await writeFile(
      join(folder, 'prometheus.yml'),
      'scrape_configs: [{job_name: a, scrape_interval: 1s, ' +
        'static_configs: [{targets: ["127.0.0.1:9101"]}]}]',
    );
    await manager.start('jobs', ['busybox', 'httpd', '-f', '-p', '9101', '-h', folder]);
    const flags = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/db`];
    const server = await manager.start('prometheus', ['prometheus', ...flags], `${folder}.log`);
    await server.ready(async () => {
      const url = 'localhost:9090/api/v1/query?query=jobs';
      const { code, stdout } = await manager.execResult(['curl', '-s', '--max-time', '2', url]);
      return code === 0 && stdout.includes('"__name__":"jobs"');
    });
    const query = 'prometheus=http://127.0.0.1:9090,query=sum(jobs{job=~"a,?"}),target=10';
    const autoscale = ['--autoscale', `min=0,max=5,window=1s,${query}`];
    const image = imageOf(swarm, 'busybox:1');
    await swarm.create('drain', '--replicas', '0', ...autoscale, image, 'sleep', 'infinity');
    assert.equal((await scaled(swarm, 'drain')).Spec.Mode.Replicated.Replicas, 0);
    await gauge(35);
    const grown = await untilReplicas(swarm, 'drain', 4);
    assert.match(grown.Autoscale?.LastScaled?.Reason ?? '', /^query at 35, .*\(target 10\)$/);
    await gauge(0);
    await untilReplicas(swarm, 'drain', 0);
    await swarm.runs('drain', 0);
  });
});
