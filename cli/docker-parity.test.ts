/** Our CLI beside docker's, old and new, against one daemon: the same words for the same questions. */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiServer, type ApiServer } from '../api/index.ts';
import { FakeBackend } from '../api/testing.ts';
import { realClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import type { Change } from '../manager/store/index.ts';
import { makeNode, makeTask } from '../manager/store/testing.ts';
import { parseShellWords } from './format/parse.ts';
import { runCli, type Ran } from './testing/run-cli.ts';

/** Debian's docker.io, and a newer one where there is one. */
const newest = '/usr/local/bin/docker';
const programs = ['/usr/bin/docker', newest];

const lines = [
  'service ls',
  'service ls -q',
  'service ls --filter name=we',
  'service ls --filter nope=1',
  "service ls --format '{{.ID}} {{.Name}} {{.Mode}} {{.Replicas}} {{.Image}} {{.Ports}}'",
  "service ls --format 'table {{upper .Name}}\\t{{.Replicas}}'",
  "service ls --format '{{json .}}'",
  "service ls --format '{{range .}}'",
  'service ps web',
  'service ps -q web',
  'service ps --no-trunc web',
  'service ps --filter desired-state=shutdown web',
  'service ps nope',
  "service ps --format '{{.Name}} {{.Node}} {{.DesiredState}} {{.Error}} {{.Ports}}' web",
  'service inspect web',
  'service inspect --pretty web',
  "service inspect --format '{{.Spec.Name}} {{json .Endpoint.Ports}}' web",
  "service inspect --format '{{range .Spec.TaskTemplate.ContainerSpec.Env}}{{.}};{{end}}' web",
  'service scale nope=3',
  'service rm nope',
  'node ls',
  'node ls -q',
  'node ls --filter role=worker',
  "node ls --format '{{.ID}} {{.Self}} {{.Hostname}} {{.Status}} {{.ManagerStatus}} {{.TLSStatus}}'",
  "node ls --format 'table {{.Hostname}}\\t{{.Availability}}'",
  'node ps h1',
  'node inspect self',
  'node inspect --pretty self',
  'node inspect nope',
  'node rm nope',
  'ps',
  'ps -aq',
  'ps --no-trunc -a',
  "ps -a --format '{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}} {{.Networks}}'",
  "container ls -a --format 'table {{.Names}}\\t{{.Status}}'",
  'ps --filter nope=1',
  'container rm nope',
  'stop nope',
  'kill nope',
  'pause nope',
  'wait nope',
  'logs nope',
  'top nope',
  'images',
  'images -q',
  'images --no-trunc',
  'image ls --digests',
  'image inspect 10.99.0.254:5000/web:1',
  'image inspect nope',
  'image rm nope',
  'swarm join-token -q worker',
  'network ls',
  'network ls -q',
  'network ls --no-trunc',
  'network ls --filter driver=overlay --filter name=back',
  'network ls --filter nope=1',
  "network ls --format '{{.ID}} {{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}}'",
  'network ls --format \'{{.CreatedAt}} {{.Label "tier"}}\'',
  "network ls --format 'table {{.Name}}\\t{{.Internal}}'",
  'network inspect back',
  'network inspect -v back',
  'network inspect back nope',
  "network inspect --format '{{(index .IPAM.Config 0).Subnet}} {{.Options}}' back",
  'network rm nope bridge',
  'network rm ingress',
  'network rm back',
  'network prune',
  'network prune --filter label=nope --force',
  'network create --driver overlay back',
  'network create --driver overlay --subnet 10.1.0.0/16 --gateway 10.2.0.1 new',
  'network create --driver overlay --subnet 10.1.0.0/16 --subnet 10.1.2.0/24 new',
  'network create --driver overlay --gateway 10.2.0.1 new',
  'network create --driver overlay --subnet 10.1.0.0 new',
  'network create --driver nope new',
  'network connect back nope',
  'network disconnect back nope',
  'service update --network-add back web',
  'service update --network-rm nope web',
  ...['secret', 'config'].flatMap((kind) => [
    `${kind} ls`,
    `${kind} ls -q`,
    `${kind} ls --filter name=k --filter label=tier`,
    `${kind} ls --filter nope=1`,
    `${kind} ls --format '{{.ID}} {{.Name}} {{.Labels}} {{.Label "tier"}}'`,
    `${kind} ls --format 'table {{.Name}}\\t{{.CreatedAt}}'`,
    `${kind} inspect key`,
    `${kind} inspect --pretty key`,
    `${kind} inspect --format '{{.Spec.Name}} {{.Spec.Labels}}' key nope`,
    `${kind} create key /etc/hostname`,
    `${kind} create -l a=b bad/name /etc/hostname`,
    `${kind} create --template-driver nope other /etc/hostname`,
    `${kind} rm nope`,
    `${kind} rm used nope`,
  ]),
  'secret create -d vault other',
  'service create -d --name x --secret nope image',
  'service update -d --config-add nope web',
  'service update -d --secret-rm nope web',
  'service inspect --pretty keeper',
];

describe('cli/docker-parity', function suite() {
  this.timeout(180_000);
  let folder: string;
  let host: string;
  let server: ApiServer;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cli-parity-'));
    host = `unix://${folder}/docker.sock`;
    const backend = new FakeBackend();
    server = createApiServer({ backend, log: silentLogger, clock: realClock });
    await server.listen({ unixSocket: join(folder, 'docker.sock') });
    await backend.becomeManager();
    await fill(backend, host);
  });

  after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const docker = (program: string, args: readonly string[]) =>
    new Promise<Ran>((resolve) => {
      const env = { PATH: '/usr/bin', HOME: folder, DOCKER_HOST: host };
      const child = execFile(program, args, { env, timeout: 120_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
      });
      // Nobody is there to answer questions.
      child.stdin?.end();
    });

  for (const program of programs) {
    describe(program, () => {
      before(function check() {
        if (!existsSync(program)) this.skip();
      });

      for (const line of lines) {
        it(line, async () => {
          const args = parseShellWords(line);
          // Documents are those of the version that both speak.
          const env = program === newest ? {} : { DOCKER_API_VERSION: '1.41' };
          const [ours, theirs] = [await runCli(host, args, { env }), await docker(program, args)];
          assert.deepEqual(withoutError(ours), withoutError(theirs));
          // The old client has words of its own for some of the daemon's errors.
          if (program === newest) assert.equal(ours.err.trim(), withoutStatus(theirs.err));
        });
      }
    });
  }
});

/** The new client tells its own exit status where it removes several networks; we do not. */
function withoutStatus(err: string): string {
  return err.trim().replace(/\nexit status 1$/, '');
}

function withoutError({ code, out }: Ran): Omit<Ran, 'err'> {
  return { code, out };
}

/** Two nodes, a service that has a history, and one that is global. */
async function fill(backend: FakeBackend, host: string): Promise<void> {
  const create = async (line: string) => {
    const ran = await runCli(host, ['service', 'create', '-d', ...parseShellWords(line)]);
    assert.equal(ran.code, 0, ran.err);
    return ran.out.trim();
  };
  const network = [
    'network',
    'create',
    '-d',
    'overlay',
    '--attachable',
    '--label',
    'tier=db',
    'back',
  ];
  assert.equal((await runCli(host, network)).code, 0);
  const webId = await create(
    '--name web --replicas 3 --network name=back,alias=www -p 80:8080 -p published=53,target=53,protocol=udp,mode=host ' +
      '-e A=1 -e B=2 -l tier=front --limit-memory 64m --constraint node.role==worker ' +
      '--mount type=bind,source=/a,target=/b,readonly --update-delay 3s --restart-max-attempts 2 ' +
      '10.99.0.254:5000/web:1 sleep 1000',
  );
  for (const kind of ['secret', 'config']) {
    for (const name of ['key', 'used']) {
      const line = [kind, 'create', '-l', 'tier=db', name, '/etc/debian_version'];
      assert.equal((await runCli(host, line)).code, 0);
    }
  }
  await create(
    '--name keeper --replicas 0 --secret source=used,target=/x,mode=0400,uid=1 --config used ' +
      '10.99.0.254:5000/web:1',
  );
  await create('--name agent --mode global --replicas-max-per-node 1 10.99.0.254:5000/web:1');
  const view = await backend.store.read();
  const service = view.service(webId);
  assert.ok(service);
  const worker = makeNode('workernode000000000000000', {
    spec: { labels: { zone: 'a' }, role: 'worker', availability: 'drain' },
    description: {
      hostname: 'h2',
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 2e9, memoryBytes: 2 ** 31 },
      engine: { version: '0.1.0', labels: { disk: 'ssd' }, plugins: [] },
    },
  });
  const status = (state: 'running' | 'failed', err: string) => ({
    state,
    atMs: backend.clock.nowMs(),
    message: '',
    ...(err === '' ? {} : { err }),
  });
  const makeOne = (id: string, slot: number, overrides: Parameters<typeof makeTask>[2]) =>
    makeTask(id.padEnd(25, '0'), service, { slot, nodeId: backend.status.nodeId, ...overrides });
  const tasks = [
    makeOne('taskold', 1, {
      desiredState: 'shutdown',
      status: status('failed', 'task: non-zero exit (137) after a very long while'),
    }),
    makeOne('taskone', 1, { status: status('running', '') }),
    makeOne('tasktwo', 2, { nodeId: worker.id, status: status('running', '') }),
  ];
  await backend.propose([{ op: 'put', table: 'node', object: worker, base: 0 }]);
  for (const object of tasks) {
    const change: Change = { op: 'put', table: 'task', object, base: 0 };
    await backend.propose([change]);
    backend.clock.advance(1500);
  }
}
