/** Runs buildah, with its storage in our folders and away from the machine's own configuration. */
import { spawn } from 'node:child_process';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { errnoOf, SwarmError } from '../../lib/errors.ts';

export interface BuildahOptions {
  /** Below it: storage, and a folder for each build. */
  readonly dataRoot: string;
  readonly runRoot: string;
}

interface RunOptions {
  readonly signal: AbortSignal;
  /** Containers are to have an /etc/hosts of their own in place of the host's. */
  readonly ownHosts?: boolean;
  /** Besides what buildah needs. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

interface RunResult {
  readonly code: number;
  readonly output: string;
  /** The last line of the standard error stream: where buildah says what failed. */
  readonly lastError: string;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const maxOutputBytes = 1024 * 1024;
/** After a polite request: what a RUN step started may not care for it. */
const killAfterMs = 5_000;

const registriesConf =
  'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n';
/** Images come from this node alone, which has checked their digests. */
const policy = '{"default":[{"type":"insecureAcceptAnything"}]}\n';

const containersConf = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n';
/** Without the name that buildah gives to the host of its own accord. */
const hostsOfHost = '[containers]\nhost_containers_internal_ip = "none"\n';
const ownHosts = `${hostsOfHost}base_hosts_file = "none"\n`;

export class Buildah {
  readonly #options: BuildahOptions;
  #prepared: Promise<void> | undefined;

  constructor(options: BuildahOptions) {
    this.#options = options;
  }

  get storage(): string {
    return join(this.#options.dataRoot, 'storage');
  }

  async run(args: readonly string[], options: RunOptions): Promise<RunResult> {
    this.#prepared ??= this.#prepare();
    await this.#prepared;
    options.signal.throwIfAborted();
    const { dataRoot, runRoot } = this.#options;
    const own = ['--root', this.storage, '--runroot', join(runRoot, 'storage')];
    const [verb = '', ...rest] = args;
    const ofVerb = verb === 'build' ? ['--isolation=oci', `--runtime=${await ociRuntime()}`] : [];
    const trust = ['build', 'pull', 'push'].includes(verb)
      ? [`--signature-policy=${join(dataRoot, 'policy.json')}`]
      : [];
    const child = spawn(
      'buildah',
      [...own, '--storage-driver=overlay', verb, ...ofVerb, ...trust, ...rest],
      {
        cwd: dataRoot,
        // A group of its own: what a build step has started ends with it.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...options.env,
          PATH: path,
          HOME: dataRoot,
          TMPDIR: dataRoot,
          XDG_RUNTIME_DIR: runRoot,
          CONTAINERS_REGISTRIES_CONF: join(dataRoot, 'registries.conf'),
          CONTAINERS_STORAGE_CONF: join(dataRoot, 'storage.conf'),
          CONTAINERS_CONF: join(
            dataRoot,
            options.ownHosts === true ? 'containers-own-hosts.conf' : 'containers.conf',
          ),
        },
      },
    );
    return this.#follow(child, options);
  }

  async #follow(child: ReturnType<typeof spawn>, options: RunOptions): Promise<RunResult> {
    const { signal, onLine } = options;
    let output = '';
    let lastError = '';
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.once('error', (error) => reject(unusable(error)));
    child.once('close', (code) => resolve(code ?? 1));
    const end = (name: NodeJS.Signals) => {
      if (child.pid !== undefined && child.exitCode === null) killGroup(child.pid, name);
    };
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      end('SIGTERM');
      timer = setTimeout(() => end('SIGKILL'), killAfterMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = child[name];
      if (stream === null) continue;
      createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
        if (name === 'stdout' && output.length < maxOutputBytes) output += `${line}\n`;
        if (name === 'stderr' && line.startsWith('Error: ')) lastError = line;
        else onLine?.(line, name);
      });
    }
    try {
      const code = await promise;
      signal.throwIfAborted();
      return { code, output, lastError };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** What failed once, as on a full disk, is tried again by the next run. */
  async #prepare(): Promise<void> {
    try {
      await this.#configure();
    } catch (error) {
      this.#prepared = undefined;
      throw error;
    }
  }

  async #configure(): Promise<void> {
    const { dataRoot, runRoot } = this.#options;
    for (const folder of [dataRoot, runRoot]) await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(join(dataRoot, 'registries.conf'), registriesConf);
    await writeFile(join(dataRoot, 'policy.json'), policy);
    await writeFile(join(dataRoot, 'storage.conf'), '[storage]\ndriver = "overlay"\n');
    await writeFile(join(dataRoot, 'containers.conf'), `${containersConf}${hostsOfHost}`);
    await writeFile(join(dataRoot, 'containers-own-hosts.conf'), `${containersConf}${ownHosts}`);
  }
}

/** Steps run as containers do: with runc where it is installed, else crun. */
async function ociRuntime(): Promise<string> {
  for (const folder of path.split(':')) {
    if (await isThere(join(folder, 'runc'))) return 'runc';
  }
  return 'crun';
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === undefined) throw thrown;
    return false;
  }
}

/** The group may have ended in the same moment. */
function killGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ESRCH') throw thrown;
  }
}

function unusable(error: Error): SwarmError {
  const message =
    errnoOf(error) === 'ENOENT'
      ? 'images are built by buildah, which this host lacks: install the Debian package buildah'
      : `buildah cannot be run: ${error.message}`;
  return new SwarmError('unimplemented', message, { cause: error });
}
