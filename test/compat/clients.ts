/** The programs under test: docker's CLIs as they are installed, unmodified, and our own. */
import { existsSync, realpathSync } from 'node:fs';
import { binary, run, runResult, type Host, type RunResult } from '../lab/index.ts';

/** Away from the user's own settings, credentials and contexts. */
const cleanEnv = {
  DOCKER_CONFIG: '/run/ts-swarm-lab/docker-config',
  DOCKER_HOST: '',
  DOCKER_CONTEXT: '',
};
const timeoutMs = 120_000;

export class Cli {
  /** As tests are named after it. */
  readonly name: string;
  readonly path: string;

  constructor(name: string, path: string) {
    this.name = name;
    this.path = path;
  }

  /** What the command printed; throws unless it ended well. */
  run(host: Host, ...args: readonly string[]): Promise<string> {
    return run(this.#argv(host, args), { timeoutMs, env: cleanEnv });
  }

  /** The same, for commands that may fail; `env` is on top. */
  result(
    host: Host,
    args: readonly string[],
    options: { readonly input?: string | Uint8Array; readonly env?: Record<string, string> } = {},
  ): Promise<RunResult> {
    const { input, env = {} } = options;
    return runResult(this.#argv(host, args), {
      timeoutMs,
      env: { ...cleanEnv, ...env },
      ...(input === undefined ? {} : { input }),
    });
  }

  /** The same, without being told of a host. */
  local(
    args: readonly string[],
    { env }: { readonly env: Record<string, string> },
  ): Promise<RunResult> {
    return runResult([this.path, ...args], { timeoutMs, env: { ...cleanEnv, ...env } });
  }

  async lines(host: Host, ...args: readonly string[]): Promise<readonly string[]> {
    return (await this.run(host, ...args)).split('\n').filter((line) => line !== '');
  }

  /** What `COMMAND --help` prints: of builds, it depends on the builder. */
  help(command: readonly string[], env: Record<string, string> = {}): Promise<string> {
    return run([this.path, ...command, '--help'], { env: { ...cleanEnv, ...env } });
  }

  #argv(host: Host, args: readonly string[]): string[] {
    return [this.path, '-H', host.url, ...args];
  }
}

/** Debian's docker.io, which scripts/setup installs: always there. */
export const oldDocker = new Cli('docker 20.10', '/usr/bin/docker');

/** The newest docker CLI of the machine, where there is another than Debian's. */
export const newDocker: Cli | undefined = findNewer();

export const dockers: readonly Cli[] =
  newDocker === undefined ? [oldDocker] : [oldDocker, newDocker];

export const ownCli = new Cli('ts-swarm', binary);

function findNewer(): Cli | undefined {
  const path = '/usr/local/bin/docker';
  if (!existsSync(path) || realpathSync(path) === realpathSync(oldDocker.path)) {
    console.log(`      (no newer docker CLI at ${path}: only ${oldDocker.path} is tested)`);
    return undefined;
  }
  return new Cli('docker newest', path);
}
