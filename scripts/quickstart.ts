/**
 * quickstart.ts up:         three hosts on this machine, a service with three replicas, one host
 *                           lost and its replica back on another. Leaves everything running.
 * quickstart.ts enter HOST [COMMAND...]: a shell on a host, with ts-swarm and docker for it.
 * quickstart.ts kill HOST:  cuts a host's power.
 * quickstart.ts boot HOST:  switches it on again.
 * quickstart.ts down:       removes all of it.
 */
import { delimiter, dirname, relative } from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { Lab, binary, until, type Host } from '../test/lab/index.ts';

const labName = 'quickstart';
const replicas = 3;
const publishedPort = 8080;

interface TaskInfo {
  readonly ID: string;
  readonly Slot: number;
  readonly NodeID: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Err?: string;
  };
}

interface NodeInfo {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
}

interface Replica {
  /** The task's id: a replica says the first characters of it. */
  readonly id: string;
  readonly name: string;
  /** The host that it is on. */
  readonly host: string;
}

const [command, ...operands] = process.argv.slice(2);
const commands: Readonly<Record<string, () => Promise<void> | void>> = {
  up,
  down,
  enter,
  kill,
  boot,
};
try {
  await (commands[command ?? ''] ?? usage)();
} catch (error) {
  console.error(`\nquickstart: ${messageOf(error)}`);
  process.exitCode = 1;
}

function usage(): never {
  throw new Error("usage: 'npm run quickstart', or 'npm run quickstart:enter|kill|boot|down'");
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

/** The host that the command line names, of the hosts that `up` has left running. */
function named(): Host {
  const lab = Lab.attach(labName);
  if (lab === undefined) throw new Error("it is not running: begin with 'npm run quickstart'");
  const found = lab.hosts.find(({ name }) => name === operands[0]);
  if (found !== undefined) return found;
  const names = lab.hosts.map(({ name }) => name).join(', ');
  throw new Error(`name one of its hosts, ${names}: such as 'npm run quickstart:${command} h2'`);
}

function enter(): void {
  const host = named();
  if (!host.isUp) throw new Error(`${host.name} is off: 'npm run quickstart:boot ${host.name}'`);
  const [, ...argv] = operands;
  process.exitCode = host.enter(argv.length > 0 ? argv : [process.env['SHELL'] ?? 'sh'], {
    DOCKER_HOST: host.url,
    PATH: [dirname(binary), process.env['PATH'] ?? ''].join(delimiter),
    // What a shell shows where nobody has set up another prompt.
    PS1: `${host.name}# `,
  });
}

async function kill(): Promise<void> {
  const host = named();
  if (!host.isUp) throw new Error(`${host.name} is off already`);
  await host.kill();
  console.log(`${host.name} is off: its daemon, containerd and containers died with it.`);
}

async function boot(): Promise<void> {
  const host = named();
  if (host.isUp) throw new Error(`${host.name} is on already`);
  await host.boot();
  await host.startDaemon();
  console.log(`${host.name} is on, its daemon runs and takes up what it was in the swarm.`);
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

  heading('A network over all hosts, and a service with three replicas on it');
  await show(first, 'network', 'create', '--driver', 'overlay', 'shop');
  const scale = ['--replicas', String(replicas)];
  const reach = ['--network', 'shop', '--publish', `${publishedPort}:80`];
  await show(first, 'service', 'create', '--name', 'web', ...scale, ...reach, image);
  await show(first, 'service', 'ps', 'web');
  console.log('Every host answers on the published port, for replicas anywhere:\n');
  await showAnswers(lab.hosts, await replicasOf(lab));

  const victim = lab.host('h3');
  heading(`Power off: ${victim.name} dies with its daemon, containerd and containers`);
  const startMs = performance.now();
  await victim.kill();
  const back = await until(
    `${replicas} replicas run without ${victim.name}`,
    async () => (await replicasOf(lab)).filter(({ host }) => host !== victim.name),
    { timeoutMs: 60_000, accept: (found) => found.length === replicas },
  );
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(
    `✓ ${replicas} of ${replicas} replicas run again, ${seconds} s after the power cut\n`,
  );
  await show(first, 'service', 'ps', 'web');
  await showAnswers(
    lab.hosts.filter((host) => host !== victim),
    back,
  );
}

/** The replicas that run, by slot. */
async function replicasOf(lab: Lab): Promise<readonly Replica[]> {
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
      if (node === undefined) return [];
      const name = `web.${task.Slot}`;
      return [{ id: task.ID, name, host: node.Description.Hostname }];
    });
}

/** Asks host after host until every replica has answered: which one does is left to chance. */
async function showAnswers(hosts: readonly Host[], expected: readonly Replica[]): Promise<void> {
  const silent = new Set(expected);
  await until(`every replica answers on port ${publishedPort}`, async () => {
    for (const host of hosts) {
      const url = `http://${host.address}:${publishedPort}/`;
      const response = await fetch(url, {
        signal: AbortSignal.timeout(2000),
        headers: { connection: 'close' },
      });
      const answer = (await response.text()).trim();
      const replica = [...silent].find(({ id }) => answer.includes(id.slice(0, 12)));
      if (replica === undefined) continue;
      silent.delete(replica);
      console.log(`$ curl ${url}   → ${answer}   (${replica.name} on ${replica.host})`);
    }
    return silent.size === 0 ? true : undefined;
  });
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
  curl http://${first.address}:${publishedPort}/
  ${swarm} service logs web
  ${swarm} service update --env-add GREETING=hi web
  docker service ls                # the docker CLI works as well
  npm run quickstart:boot h3       # switches the host on again that was lost
  npm run quickstart:kill h2       # cuts the power of another
  npm run quickstart:enter h1      # a shell on a host, with ts-swarm and docker for it
  npm run quickstart:down          # removes all of it`);
}
