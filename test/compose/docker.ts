/** Docker daemons: one of the machine that builds, and one of a test host that runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runResult, until, type Host } from '../lab/index.ts';

const sysResource = 24;

/** In the machine's own network, which package registries are reached through. */
export async function startBuilder(
  scratch: string,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const url = `unix://${scratch}/docker.sock`;
  const log = openSync(join(scratch, 'dockerd.log'), 'a');
  const child = spawn(
    '/usr/sbin/dockerd',
    [
      `--host=${url}`,
      `--data-root=${scratch}/docker`,
      `--exec-root=${scratch}/exec`,
      `--pidfile=${scratch}/docker.pid`,
      '--bridge=none',
      '--iptables=false',
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  await isReady(url);
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      // It leaves the network namespace of builds mounted.
      await runResult(['umount', `${scratch}/exec/netns/default`]);
    },
  };
}

export async function startDocker(host: Host, scratch: string): Promise<void> {
  await host.start(
    'dockerd',
    [
      '/usr/sbin/dockerd',
      `--data-root=${host.dataRoot}`,
      `--exec-root=${join(host.runRoot, 'exec')}`,
      `--pidfile=${join(host.runRoot, 'docker.pid')}`,
      `--host=${host.url}`,
      ...runtimeFlags(scratch),
    ],
    host.daemonLog,
  );
  await isReady(host.url);
}

async function isReady(url: string): Promise<void> {
  await until(
    `the Docker daemon at ${url} answers`,
    async () => (await runResult(['docker', '-H', url, 'version'])).code === 0,
    { timeoutMs: 30_000 },
  );
}

/**
 * A privileged container is given every capability that the kernel knows. Where the machine itself
 * lacks one, which then cannot be given, runc is called without it.
 */
function runtimeFlags(scratch: string): string[] {
  const bounding = /^CapBnd:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const isThere = (BigInt(`0x${bounding}`) & (1n << BigInt(sysResource))) !== 0n;
  if (isThere) return [];
  const runtime = join(scratch, 'runc-here');
  writeFileSync(
    runtime,
    `#!/bin/sh
previous=
for word; do
  case $previous in
    --bundle) sed -i 's/"CAP_SYS_RESOURCE",//g' "$word/config.json" ;;
    --process) sed -i 's/"CAP_SYS_RESOURCE",//g' "$word" ;;
  esac
  previous=$word
done
exec runc "$@"
`,
  );
  chmodSync(runtime, 0o755);
  return [`--add-runtime=here=${runtime}`, '--default-runtime=here'];
}
