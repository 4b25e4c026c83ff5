/** Chooses the program that starts containers: crun where it really works here, else runc. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { inMountNamespace } from './supervisor.ts';

const run = promisify(execFile);
const probeTimeoutMs = 10_000;

interface OciRuntime {
  readonly name: 'crun' | 'runc';
  readonly version: string;
}

/**
 * Runs /bin/true in a container with each, in the mount namespace that containerd will have: crun
 * may be there and yet refuse this host's cgroups. Throws SwarmError when none works.
 */
export async function chooseOciRuntime(
  options: {
    readonly runRoot: string;
    readonly cgroupParent: string;
    readonly hybridMount: string | undefined;
  },
  log: Logger,
): Promise<OciRuntime> {
  const reasons: string[] = [];
  await mkdir(options.runRoot, { recursive: true, mode: 0o711 });
  for (const name of ['crun', 'runc'] as const) {
    const bundle = await mkdtemp(join(options.runRoot, 'probe-'));
    try {
      const { stdout } = await run(name, ['--version'], { timeout: probeTimeoutMs });
      await makeBundle(bundle, `${options.cgroupParent}/probe`);
      const id = `probe-${bundle.slice(-6)}`;
      const [command = '', ...args] = inMountNamespace(options.hybridMount, [
        name,
        '--root',
        join(bundle, 'state'),
        'run',
        '--bundle',
        bundle,
        id,
      ]);
      await run(command, args, { timeout: probeTimeoutMs });
      return { name, version: /version (\S+)/.exec(stdout)?.[1] ?? 'unknown' };
    } catch (error) {
      const reason =
        errnoOf(error) === 'ENOENT' ? 'it is not installed' : lastLine((error as Error).message);
      log.info('an OCI runtime does not work here', { runtime: name, reason });
      reasons.push(`${name}: ${reason}`);
    } finally {
      await rm(bundle, { recursive: true, force: true });
    }
  }
  throw new SwarmError(
    'failed-precondition',
    `no OCI runtime works on this host: install crun or runc (${reasons.join('; ')})`,
  );
}

/** A container made of the host's own programs, read-only. */
async function makeBundle(bundle: string, cgroupsPath: string): Promise<void> {
  const shared = ['/usr', '/bin', '/lib', '/lib64'];
  for (const path of ['/dev', '/proc', '/sys', ...shared]) {
    await mkdir(join(bundle, 'rootfs', path), { recursive: true });
  }
  const bind = (path: string) => ({
    destination: path,
    type: 'bind',
    source: path,
    options: ['rbind', 'ro'],
  });
  const spec = {
    ociVersion: '1.0.2',
    process: { args: ['/bin/true'], cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      ...shared.filter((path) => existsSync(path)).map(bind),
    ],
    linux: {
      cgroupsPath,
      namespaces: [{ type: 'mount' }, { type: 'pid' }],
    },
  };
  await writeFile(join(bundle, 'config.json'), JSON.stringify(spec));
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? text;
}
