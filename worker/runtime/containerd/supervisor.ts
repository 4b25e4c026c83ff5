/** Keeps a containerd of our own running: starts it, adopts one that runs, starts it again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, noteHandled, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { RuntimePaths } from './paths.ts';

/** The kernel's limit for the path of a unix socket, less ".ttrpc" and the ending zero. */
const socketPathMax = 107 - '.ttrpc'.length;
const startTimeoutMs = 20_000;
const stopTimeoutMs = 10_000;
const probeEveryMs = 10;
const backoffMinMs = 100;
const backoffMaxMs = 10_000;
/** A containerd that ran this long did not fail to start: the back-off begins anew. */
const settledMs = 30_000;
const logBytesMax = 10 * 1024 * 1024;

export class ContainerdSupervisor {
  readonly #paths: RuntimePaths;
  readonly #hybridMount: string | undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  #starting: Promise<void> | undefined;
  #pid = 0;
  #failures = 0;
  #startedAtMs = 0;
  #stopped = false;

  constructor(
    options: { readonly paths: RuntimePaths; readonly hybridMount: string | undefined },
    deps: { readonly clock: Clock; readonly log: Logger },
  ) {
    this.#paths = options.paths;
    this.#hybridMount = options.hybridMount;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  get pid(): number {
    return this.#pid;
  }

  /**
   * Resolves when containerd answers on its socket. Calls share one attempt. Throws SwarmError
   * `unavailable` with the end of its log when it does not come up.
   */
  ensure(): Promise<void> {
    this.#starting ??= this.#ensure().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** Ends containerd. Containers and their shims run on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#pid === 0 || !(await this.#isOurs(this.#pid))) return;
    process.kill(this.#pid, 'SIGTERM');
    const deadlineMs = this.#clock.monotonicMs() + stopTimeoutMs;
    while (await this.#isOurs(this.#pid)) {
      if (this.#clock.monotonicMs() > deadlineMs) {
        this.#log.warn('containerd did not end, and is killed', { pid: this.#pid });
        process.kill(this.#pid, 'SIGKILL');
        break;
      }
      await this.#clock.sleep(probeEveryMs);
    }
    await rm(this.#paths.pidFile, { force: true });
  }

  async #ensure(): Promise<void> {
    if (this.#stopped) throw new SwarmError('unavailable', 'containerd has been stopped');
    if (await this.#adopt()) return;
    if (this.#clock.monotonicMs() - this.#startedAtMs > settledMs) this.#failures = 0;
    if (this.#failures > 0) {
      const delayMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** (this.#failures - 1));
      this.#log.warn('containerd is started again', { failures: this.#failures, delayMs });
      await this.#clock.sleep(delayMs);
    }
    this.#failures++;
    await this.#start();
  }

  /** A containerd that a former daemon left behind, or ours that still runs. */
  async #adopt(): Promise<boolean> {
    const pid = this.#pid === 0 ? await this.#readPid() : this.#pid;
    if (pid === undefined || !(await this.#isOurs(pid))) return false;
    this.#pid = pid;
    if (await this.#answers(() => this.#isOurs(pid))) return true;
    this.#log.warn('containerd does not answer, and is killed', { pid });
    if (await this.#isOurs(pid)) process.kill(pid, 'SIGKILL');
    while (await this.#isOurs(pid)) await this.#clock.sleep(probeEveryMs);
    return false;
  }

  async #start(): Promise<void> {
    const paths = this.#paths;
    if (Buffer.byteLength(paths.socket) > socketPathMax) {
      throw new SwarmError(
        'invalid-argument',
        `the run root is too long for a unix socket: ${paths.socket} must have at most ` +
          `${socketPathMax} bytes`,
      );
    }
    await mkdir(paths.containerdRun, { recursive: true, mode: 0o711 });
    await mkdir(paths.containerdRoot, { recursive: true, mode: 0o711 });
    await writeFile(paths.configFile, containerdConfig(paths));
    await rm(paths.socket, { force: true });
    const child = await this.#spawn();
    this.#startedAtMs = this.#clock.monotonicMs();
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (cause) =>
        reject(
          new SwarmError(
            'unavailable',
            `containerd cannot be started: ${cause.message}; install the package containerd`,
            { cause },
          ),
        ),
      );
      child.once('exit', () => reject(new SwarmError('unavailable', 'containerd ended at once')));
    });
    // It also fails after the start, when nobody waits for it any more.
    failed.catch(noteHandled);
    if (child.pid === undefined) await failed;
    this.#pid = child.pid ?? 0;
    await writeFile(paths.pidFile, String(this.#pid));
    try {
      // While it is started, its command line changes under us: its exit tells when it is gone.
      if (!(await Promise.race([this.#answers(async () => child.exitCode === null), failed]))) {
        throw new SwarmError('unavailable', 'containerd does not answer');
      }
    } catch (cause) {
      const error = SwarmError.from(cause);
      throw new SwarmError(error.code, `${error.message}: ${await this.#logTail()}`, { cause });
    }
    this.#log.info('containerd runs', { pid: this.#pid });
  }

  /** Detached and with its output in a file: it must not end with the daemon. */
  async #spawn(): Promise<ChildProcess> {
    await this.#rotateLog();
    await using output = await open(this.#paths.containerdLog, 'a', 0o640);
    const [command = '', ...args] = inMountNamespace(this.#hybridMount, [
      'containerd',
      '--config',
      this.#paths.configFile,
    ]);
    const child = spawn(command, args, {
      detached: true,
      cwd: '/',
      stdio: ['ignore', output.fd, output.fd],
    });
    child.once('exit', (code, signal) => {
      if (!this.#stopped) this.#log.error('containerd has ended', { code, signal });
    });
    child.unref();
    return child;
  }

  async #rotateLog(): Promise<void> {
    try {
      const { size } = await stat(this.#paths.containerdLog);
      if (size > logBytesMax) {
        await rename(this.#paths.containerdLog, `${this.#paths.containerdLog}.1`);
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  async #answers(isAlive: () => Promise<boolean>): Promise<boolean> {
    const deadlineMs = this.#clock.monotonicMs() + startTimeoutMs;
    for (;;) {
      if (await canConnect(this.#paths.socket)) return true;
      if (this.#clock.monotonicMs() > deadlineMs || !(await isAlive())) return false;
      await this.#clock.sleep(probeEveryMs);
    }
  }

  async #readPid(): Promise<number | undefined> {
    const text = await readIfThere(this.#paths.pidFile);
    const pid = Number(text);
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  }

  /** The pid may have been given to another process since. */
  async #isOurs(pid: number): Promise<boolean> {
    const commandLine = await readIfThere(`/proc/${pid}/cmdline`);
    return commandLine?.split('\0').includes(this.#paths.configFile) ?? false;
  }

  async #logTail(): Promise<string> {
    const text = (await readIfThere(this.#paths.containerdLog)) ?? '';
    return text.trimEnd().split('\n').slice(-3).join(' | ').slice(-1000);
  }
}

/**
 * crun refuses to work beside a cgroup2 hierarchy in hybrid mode, so containerd and all below it
 * get a mount namespace without one. Mounts made by the host later still appear in it where the
 * host's are shared.
 */
export function inMountNamespace(
  hybridMount: string | undefined,
  command: readonly string[],
): readonly string[] {
  if (hybridMount === undefined) return command;
  const script = `umount ${hybridMount} && exec "$0" "$@"`;
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, ...command];
}

/** Only what is called runs; nothing of it is outside of our two roots. */
function containerdConfig(paths: RuntimePaths): string {
  const disabled = [
    'io.containerd.grpc.v1.cri',
    'io.containerd.internal.v1.opt',
    'io.containerd.internal.v1.restart',
    'io.containerd.internal.v1.tracing',
    'io.containerd.snapshotter.v1.aufs',
    'io.containerd.snapshotter.v1.blockfile',
    'io.containerd.snapshotter.v1.btrfs',
    'io.containerd.snapshotter.v1.devmapper',
    'io.containerd.snapshotter.v1.zfs',
    'io.containerd.tracing.processor.v1.otlp',
  ];
  const text = JSON.stringify;
  return `version = 2
root = ${text(paths.containerdRoot)}
state = ${text(`${paths.containerdRun}/state`)}
oom_score = -500
disabled_plugins = ${text(disabled)}

[grpc]
  address = ${text(paths.socket)}

[debug]
  level = "warn"

# Looks every second. Else, the shorter its collections, the more often: 20 times at 1 ms.
[plugins."io.containerd.gc.v1.scheduler"]
  pause_threshold = 0.0
`;
}

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}
