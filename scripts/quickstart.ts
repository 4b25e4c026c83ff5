/**
 * quickstart.ts up:   three hosts on this machine, a service with three replicas, one host lost and
 *                     its replica back on another. Leaves everything running to play with.
 * quickstart.ts down: removes all of it.
 */
import { relative } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { Lab, binary, until, type Host } from '../test/lab/index.ts';

const labName = 'quickstart';
const replicas = 3;

interface TaskInfo {
  readonly ID: string;
  readonly Slot: number;
  readonly NodeID: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Err?: string;
    readonly PortStatus?: { readonly Ports?: readonly { readonly PublishedPort: number }[] };
  };
}

interface NodeInfo {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
}

/** Where a replica answers. */
interface Endpoint {
  readonly name: string;
  readonly host: string;
  readonly url: string;
}

const [command] = process.argv.slice(2);
const commands: Readonly<Record<string, () => Promise<void>>> = { up, down };
await (commands[command ?? ''] ?? usage)().catch((error: unknown) => {
  console.error(`\nquickstart: ${messageOf(error)}`);
  process.exitCode = 1;
});

function usage(): Promise<void> {
  throw new Error("usage: 'npm run quickstart' or 'npm run quickstart:down'");
}

async function down(): Promise<void> {
  const lab = Lab.attach(labName);
  if (lab === undefined) {
    console.log('Nothing to remove: the quickstart is not running.');
    return;
  }
  await lab.close();
  console.log('Removed: the hosts, their containers, the registry and all their data.');
}

async function up(): Promise<void> {
  const running = Lab.attach(labName);
  if (running !== undefined) {
    console.log('The quickstart is running already.');
    printNext(manager(running));
    return;
  }
  const startMs = performance.now();
  console.log(
    'Three hosts on this machine, each with a network, a daemon and containers of its own.',
  );
  console.log('Nothing outside them is touched; Ctrl-C removes everything.\n');
  const lab = await Lab.create({ hosts: 3, name: labName });
  try {
    await tour(lab);
  } catch (error) {
    const tails = lab.hosts.map((host) => `${host.name}: ${host.daemonTail(5)}`);
    await lab.close();
    // A daemon that did not start has said why already.
    const said = messageOf(error).includes('last lines');
    const words = said ? '' : `\nThe daemons' last words:\n${tails.join('\n')}`;
    throw new Error(`${messageOf(error)}${words}`, { cause: error });
  }
  lab.detach();
  console.log(`\nAll of this took ${((performance.now() - startMs) / 1000).toFixed(0)} seconds.`);
  printNext(manager(lab));
}

async function tour(lab: Lab): Promise<void> {
  const first = manager(lab);
  const addresses = lab.hosts.map((host) => `${host.name} ${host.address}`).join(', ');
  await step(`hosts ${addresses}; registry ${lab.registry.address}`, async () => {
    await Promise.all(lab.hosts.map((host) => host.startDaemon()));
  });
  const image = await step('image web:1 built of busybox and pushed', () => lab.image('web:1'));

  heading('A swarm: h1 is the manager, the others join it');
  await show(first, 'init', '--advertise-addr', first.address);
  const token = (await first.cli('join-token', '--quiet', 'worker')).trim();
  for (const host of lab.hosts.slice(1)) {
    console.log(`${host.name}$ ts-swarm join --token ${token.slice(0, 12)}… ${first.address}:2377`);
    await host.cli('join', '--token', token, `${first.address}:2377`);
  }
  await show(first, 'node', 'ls');

  heading('A service with three replicas, each on a port of its host');
  const publish = ['--publish', 'mode=host,target=80'];
  const scale = ['--replicas', String(replicas)];
  await show(first, 'service', 'create', '--name', 'web', ...scale, ...publish, image);
  await show(first, 'service', 'ps', 'web');
  await showAnswers(await endpoints(lab));

  const victim = lab.host('h3');
  heading(`Power off: ${victim.name} dies with its daemon, containerd and containers`);
  const startMs = performance.now();
  await victim.kill();
  const back = await until(
    `${replicas} replicas run without ${victim.name}`,
    async () => (await endpoints(lab)).filter(({ host }) => host !== victim.name),
    { timeoutMs: 60_000, accept: (found) => found.length === replicas },
  );
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(
    `✓ ${replicas} of ${replicas} replicas run again, ${seconds} s after the power cut\n`,
  );
  await show(first, 'service', 'ps', 'web');
  await showAnswers(back);
}

/** Where the running replicas answer, by slot. */
async function endpoints(lab: Lab): Promise<readonly Endpoint[]> {
  const first = manager(lab);
  const filters = encodeURIComponent(
    JSON.stringify({ service: ['web'], 'desired-state': ['running'] }),
  );
  const tasks = await first.api<TaskInfo[]>('GET', `/tasks?filters=${filters}`);
  const nodes = await first.api<NodeInfo[]>('GET', '/nodes');
  return tasks
    .filter((task) => task.Status.State === 'running')
    .toSorted((a, b) => a.Slot - b.Slot)
    .flatMap((task) => {
      const node = nodes.find(({ ID }) => ID === task.NodeID);
      const port = task.Status.PortStatus?.Ports?.[0]?.PublishedPort;
      if (node === undefined || port === undefined) return [];
      const host = lab.host(node.Description.Hostname);
      return [
        { name: `web.${task.Slot}`, host: host.name, url: `http://${host.address}:${port}/` },
      ];
    });
}

async function showAnswers(found: readonly Endpoint[]): Promise<void> {
  if (found.length !== replicas) {
    throw new Error(`${found.length} of ${replicas} replicas say on which port they answer`);
  }
  for (const { name, host, url } of found) {
    const answer = await until(`${name} answers at ${url}`, async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
      return response.ok ? (await response.text()).trim() : undefined;
    });
    console.log(`$ curl ${url}   → ${answer}   (${name} on ${host})`);
  }
}

function manager(lab: Lab): Host {
  return lab.host('h1');
}

/** Runs our CLI and shows the command and what it printed. */
async function show(host: Host, ...args: string[]): Promise<void> {
  console.log(`${host.name}$ ts-swarm ${args.join(' ')}`);
  console.log((await host.cli(...args)).trimEnd());
  console.log();
}

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  console.log(`✓ ${what}  (${((performance.now() - startMs) / 1000).toFixed(1)} s)`);
  return result;
}

function heading(text: string): void {
  console.log(`\n── ${text}\n`);
}

function printNext(first: Host): void {
  const swarm = relative(process.cwd(), binary);
  console.log(`
Try next:
  export DOCKER_HOST=${first.url}
  ${swarm} service scale web=6
  ${swarm} service ps web
  ${swarm} service logs web
  ${swarm} service update --env-add GREETING=hi web
  docker service ls                # the docker CLI works as well
  npm run quickstart:down          # removes all of it`);
}
