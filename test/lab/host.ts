/** One test host: a machine as far as a daemon can tell, made of namespaces and a cgroup. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cpuSecondsOf, makeCgroup } from './cgroup.ts';
import {
  argvOf,
  containersIn,
  inCgroup,
  isDeaf,
  killSync,
  memoryOf,
  signal,
  type ContainerProcess,
} from './processes.ts';
import { http, type HttpResult } from './http.ts';
import { printed, run, runResult, type RunOptions, type RunResult } from './run.ts';
import { Service } from './service.ts';
import { environmentMark, pathsOf, removeDevice } from './state.ts';
import { until } from './until.ts';

const here = import.meta.dirname;
export const binary = resolve(here, '../../bin/ts-swarm');

interface HostOptions {
  readonly labId: number;
  readonly name: string;
  /** The last byte of its address: 1 to 253. */
  readonly number: number;
  readonly registry: string;
}

export interface DaemonStart {
  /** On top of the data root, the run root and the insecure registry. */
  readonly flags?: readonly string[];
  /** A command that runs the command after it, such as `env NAME=value`. */
  readonly through?: readonly string[];
}

export class Host {
  readonly name: string;
  /** The daemon's `--data-root`; a boot keeps it. */
  readonly dataRoot: string;
  /** The daemon's `--run-root`; a boot empties it. */
  readonly runRoot: string;
  /** The daemon's API. */
  readonly socketPath: string;
  readonly daemonLog: string;
  readonly #options: HostOptions;
  readonly #device: string;
  readonly #cgroup: string;
  readonly #subnet: string;
  /** The last byte of its present address. */
  #number: number;
  #first: Service | undefined;
  #daemon: Service | undefined;
  #lastStart: DaemonStart | undefined;

  constructor(options: HostOptions) {
    const { run, data, subnet, bridge, cgroup } = pathsOf(options.labId);
    this.#options = options;
    this.name = options.name;
    this.#subnet = subnet;
    this.#number = options.number;
    this.dataRoot = join(data, options.name, 'data');
    this.runRoot = join(run, options.name);
    this.socketPath = join(this.runRoot, 'docker.sock');
    this.daemonLog = join(data, options.name, 'daemon.log');
    this.#device = `${bridge}-${options.name}`;
    this.#cgroup = `${cgroup}/${options.name}`;
  }

  /** The host's API address as `-H` takes it. */
  get url(): string {
    return `unix://${this.socketPath}`;
  }

  get address(): string {
    return `${this.#subnet}${this.#number}`;
  }

  /** Another address, as from a lease that has run out. */
  async renumber(number: number): Promise<void> {
    const old = this.address;
    this.#number = number;
    const batch = `addr del ${old}/24 dev eth0\naddr add ${this.address}/24 dev eth0\n`;
    await this.exec(['ip', '-batch', '-'], { input: batch });
  }

  get isUp(): boolean {
    return this.#first?.isRunning ?? false;
  }

  /** Switches the host on; after `kill`, starts the daemon as it was last started. */
  async boot(): Promise<void> {
    if (this.isUp) throw new Error(`host ${this.name} is up already`);
    const { labId, name } = this.#options;
    const { run: labRun } = pathsOf(labId);
    const ready = join(labRun, `${name}.ready`);
    rmSync(ready, { force: true });
    rmSync(this.runRoot, { recursive: true, force: true });
    mkdirSync(this.runRoot, { recursive: true });
    mkdirSync(this.dataRoot, { recursive: true });
    makeCgroup(this.#cgroup);
    const first = await Service.start({
      labId,
      name: `host ${name}`,
      argv: ['sh', join(here, 'host-init.sh'), this.#cgroup, name, labRun],
      logFile: join(this.dataRoot, '..', 'host.log'),
      depth: 1,
    });
    await first.ready(() => Promise.resolve(existsSync(ready)));
    this.#first = first;
    await this.#plug(first.pid);
    if (this.#lastStart !== undefined) await this.startDaemon(this.#lastStart);
  }

  /** Finds the processes of a host that another process booted. */
  attach(): void {
    const pids = inCgroup(this.#cgroup);
    const log = join(this.dataRoot, '..', 'host.log');
    const first = pids.find((pid) => argvOf(pid)[0] === 'tini');
    if (first !== undefined) this.#first = Service.attach(`host ${this.name}`, log, first);
    const daemon = pids.find((pid) => argvOf(pid).includes(`--run-root=${this.runRoot}`));
    if (daemon === undefined) return;
    const argv = argvOf(daemon);
    const ownFlags = argv.findIndex((flag) => flag.startsWith('--insecure-registry=')) + 1;
    this.#lastStart = { flags: argv.slice(ownFlags) };
  }

  /**
   * Power off: every process of the host dies at once, its network and mounts with them. Nobody is
   * told: the cable goes first, or the kernel would close the host's connections properly.
   */
  async kill(): Promise<void> {
    const first = this.#first;
    if (first === undefined) return;
    await this.cutLink();
    this.#first = undefined;
    this.#daemon = undefined;
    await first.kill();
    killSync(`host ${this.name}`, () => inCgroup(this.#cgroup));
    removeDevice(this.#device);
    // What lies in /run does not survive a power cut.
    rmSync(this.runRoot, { recursive: true, force: true });
  }

  /** Starts `ts-swarm daemon` and waits until its API answers. */
  async startDaemon(start: DaemonStart = {}): Promise<void> {
    if (this.#daemon?.isRunning === true) throw new Error(`${this.name} has a daemon already`);
    this.#lastStart = start;
    this.#daemon = await this.start(
      `the daemon of ${this.name}`,
      [
        ...(start.through ?? []),
        binary,
        'daemon',
        `--data-root=${this.dataRoot}`,
        `--run-root=${this.runRoot}`,
        `--insecure-registry=${this.#options.registry}`,
        ...(start.flags ?? []),
      ],
      this.daemonLog,
    );
    await this.#daemon.ready(async () => (await this.apiResult('GET', '/_ping')).status === 200);
  }

  /** SIGTERM to the daemon: containers go on. */
  async stopDaemon(): Promise<void> {
    this.#lastStart = undefined;
    await this.#runningDaemon().stop();
  }

  /** SIGKILL to the daemon's process: containerd and the containers go on. */
  async killDaemon(): Promise<void> {
    await this.#runningDaemon().kill();
  }

  get daemonPid(): number {
    return this.#runningDaemon().pid;
  }

  /** The daemon's last log lines. */
  daemonTail(lines = 20): string {
    return this.#daemon?.tail(lines) ?? `${this.name} has no daemon`;
  }

  /** The daemon's whole log since the lab began, over restarts. */
  daemonOutput(): string {
    return readFileSync(this.daemonLog, 'utf8');
  }

  /** Starts any long-running process on the host. Its log is appended to `logFile`. */
  start(name: string, argv: readonly string[], logFile?: string): Promise<Service> {
    return Service.start({
      labId: this.#options.labId,
      name,
      argv: ['sh', join(here, 'host-enter.sh'), this.#cgroup, this.#pid(), ...argv],
      logFile: logFile ?? join(this.dataRoot, '..', 'services.log'),
      depth: 1,
    });
  }

  /** Runs a command on the host (a string goes through sh) and returns what it printed. */
  exec(command: string | readonly string[], options?: RunOptions): Promise<string> {
    return run(this.#inside(command), options);
  }

  /** The same, for commands that may fail. */
  execResult(command: string | readonly string[], options?: RunOptions): Promise<RunResult> {
    return runResult(this.#inside(command), options);
  }

  /**
   * Runs a command on the host at the terminal of this process, such as a shell, and returns its
   * exit code. `env` is added to this process's own.
   */
  enter(argv: readonly string[], env: Readonly<Record<string, string>>): number {
    const command = [join(here, 'host-enter.sh'), this.#cgroup, this.#pid(), ...argv];
    const { status } = spawnSync('sh', command, {
      stdio: 'inherit',
      env: { ...process.env, ...env, [environmentMark]: String(this.#options.labId) },
    });
    return status ?? 1;
  }

  /** Runs our CLI against this host's daemon and returns what it printed. Waits for elections. */
  cli(...args: readonly string[]): Promise<string> {
    return whenLed([binary, '-H', this.url, ...args], { timeoutMs: 120_000 });
  }

  cliResult(...args: readonly string[]): Promise<RunResult> {
    return runResult([binary, '-H', this.url, ...args], { timeoutMs: 120_000 });
  }

  /** Runs the docker CLI against this host's daemon, as `cli` does. */
  docker(...args: readonly string[]): Promise<string> {
    return whenLed(['docker', '-H', this.url, ...args], { timeoutMs: 120_000, env: dockerEnv });
  }

  dockerResult(...args: readonly string[]): Promise<RunResult> {
    return runResult(['docker', '-H', this.url, ...args], { timeoutMs: 120_000, env: dockerEnv });
  }

  /** A call of the Engine API. Throws on an answer of 400 or more, with the API's message. */
  async api<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.apiResult(method, path, body);
    if (answer.status >= 400) {
      throw new Error(`${method} ${path} on ${this.name}: ${answer.status} ${answer.body.trim()}`);
    }
    const isJson = answer.headers['content-type']?.startsWith('application/json') ?? false;
    return (isJson && answer.body !== '' ? JSON.parse(answer.body) : answer.body) as T;
  }

  apiResult(method: string, path: string, body?: unknown): Promise<HttpResult> {
    return http({ socketPath: this.socketPath }, path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  }

  /** Pulls the cable. Connections stay open and silent. */
  async cutLink(): Promise<void> {
    await run(['ip', 'link', 'set', this.#device, 'down']);
  }

  async restoreLink(): Promise<void> {
    await run(['ip', 'link', 'set', this.#device, 'up']);
  }

  /** Loses this share of the packets, in both directions; 0 ends it. */
  async dropPackets(percent: number): Promise<void> {
    const lossy = percent < 100 ? `numgen random mod 100 < ${percent} drop` : 'drop';
    await this.#filter('loss', percent <= 0 ? '' : lossy);
  }

  /** Loses everything from and to these hosts (an asymmetric partition); none ends it. */
  async isolateFrom(...others: readonly Host[]): Promise<void> {
    const addresses = others.map((host) => host.address).join(', ');
    const rules = `ip saddr { ${addresses} } drop; ip daddr { ${addresses} } drop`;
    await this.#filter('partition', others.length === 0 ? '' : rules);
  }

  /** Every process of the host, containers and shims included. */
  processes(): { readonly pid: number; readonly argv: readonly string[] }[] {
    return inCgroup(this.#cgroup).map((pid) => ({ pid, argv: argvOf(pid) }));
  }

  /** The containers that run on the host, whatever daemons say of them. */
  containers(): ContainerProcess[] {
    return containersIn(this.#cgroup);
  }

  /**
   * Kills the tasks that a stop signal would not end. For tests that remove services and are not
   * about the ten seconds which such tasks are given.
   */
  endDeafTasks(): void {
    for (const { id, pid } of this.containers()) {
      // A container that is no task's is its maker's to remove.
      if (id.includes('.') && isDeaf(pid)) signal(pid, 'SIGKILL');
    }
  }

  /** Memory of the host's processes that `match` accepts. */
  memory(match: (argv: readonly string[]) => boolean): { pssBytes: number; rssBytes: number } {
    const taken = this.processes()
      .filter(({ argv }) => match(argv))
      .map(({ pid }) => memoryOf(pid));
    return {
      pssBytes: taken.reduce((sum, { pssBytes }) => sum + pssBytes, 0),
      rssBytes: taken.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    };
  }

  /** CPU time of the whole host since it first booted, in seconds. */
  cpuSeconds(): number {
    return cpuSecondsOf(this.#cgroup);
  }

  #runningDaemon(): Service {
    if (this.#daemon === undefined) throw new Error(`${this.name} has no daemon: start it first`);
    return this.#daemon;
  }

  #pid(): string {
    if (this.#first?.isRunning !== true)
      throw new Error(`host ${this.name} is down: boot it first`);
    return String(this.#first.pid);
  }

  #inside(command: string | readonly string[]): string[] {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    return ['sh', join(here, 'host-enter.sh'), '-', this.#pid(), ...argv];
  }

  /** The cable between the host and the lab's bridge. */
  async #plug(pid: number): Promise<void> {
    const { labId, number } = this.#options;
    const { bridge } = pathsOf(labId);
    const hex = (byte: number) => byte.toString(16).padStart(2, '0');
    removeDevice(this.#device);
    // The same hardware address after each boot, as neighbours remember it.
    const peer = `peer name eth0 address 02:4c:42:00:${hex(labId)}:${hex(number)} netns ${pid}`;
    const outside = `link add ${this.#device} type veth ${peer}
link set ${this.#device} master ${bridge} up
`;
    await run(['ip', '-batch', '-'], { input: outside });
    const inside = `link set eth0 up\naddr add ${this.address}/24 dev eth0\n`;
    await this.exec(['ip', '-batch', '-'], { input: inside });
  }

  async #filter(table: string, rule: string): Promise<void> {
    const chain = (hook: string) =>
      `chain ${hook} { type filter hook ${hook} device "eth0" priority -300; ${rule}; }`;
    const fresh = `table netdev lab_${table}\ndelete table netdev lab_${table}\n`;
    const filled = `table netdev lab_${table} { \n${chain('ingress')}\n${chain('egress')}\n}\n`;
    await this.exec(['nft', '-f', '-'], { input: rule === '' ? fresh : fresh + filled });
  }
}

/**
 * What the command prints once the swarm has a leader. On a busy machine one may be elected at any
 * moment, which no test is about that only wants something done; and what is refused with these
 * words was not done.
 */
async function whenLed(argv: readonly string[], options: RunOptions): Promise<string> {
  const result = await until('the swarm has a leader', () => runResult(argv, options), {
    accept: ({ code, stderr }) =>
      code === 0 || !stderr.includes('The swarm does not have a leader'),
  });
  return printed(argv, result);
}

/** Away from the user's own settings, credentials and contexts. */
const dockerEnv = { DOCKER_CONFIG: '/run/ts-swarm-lab/docker-config', DOCKER_HOST: '' };
