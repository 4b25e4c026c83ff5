import { writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import type { Context } from '../../command/context.ts';
import { commandError } from '../../command/errors.ts';
import { bool, bytes, integer, list, text, type FlagValues } from '../../command/flags.ts';
import { dockerfileContext, folderContext, type BuildContext } from '../../image/context.ts';
import { showProgress } from '../../image/progress.ts';
import { registryConfigFor } from '../../service/registry-auth.ts';

const addHost = list('add-host', 'Add a custom host-to-IP mapping (host:ip)');
const buildArg = list('build-arg', 'Set build-time variables');
const cacheFrom = list('cache-from', 'Images to consider as cache sources');
const cgroupParent = text('cgroup-parent', 'Optional parent cgroup for the container');
const cpuPeriod = integer('cpu-period', 'Limit the CPU CFS (Completely Fair Scheduler) period');
const cpuQuota = integer('cpu-quota', 'Limit the CPU CFS (Completely Fair Scheduler) quota');
const cpuShares = integer('cpu-shares', 'CPU shares (relative weight)', { short: 'c' });
const cpusetCpus = text('cpuset-cpus', 'CPUs in which to allow execution (0-3, 0,1)');
const cpusetMems = text('cpuset-mems', 'MEMs in which to allow execution (0-3, 0,1)');
const file = text('file', "Name of the Dockerfile (Default is 'PATH/Dockerfile')", { short: 'f' });
const iidfile = text('iidfile', 'Write the image ID to the file');
const label = list('label', 'Set metadata for an image');
const memory = bytes('memory', 'Memory limit', { short: 'm' });
const memorySwap = bytes('memory-swap', 'Swap limit equal to memory plus swap');
const network = text('network', 'Set the networking mode for the RUN instructions during build');
const noCache = bool('no-cache', 'Do not use cache when building the image');
const platform = text('platform', 'Set platform if server is multi-platform capable');
const pull = bool('pull', 'Always attempt to pull a newer version of the image');
const quiet = bool('quiet', 'Suppress the build output and print image ID on success', {
  short: 'q',
});
const shmSize = bytes('shm-size', 'Size of /dev/shm');
const squash = bool('squash', 'Squash newly built layers into a single new layer');
const tag = list('tag', "Name and optionally a tag in the 'name:tag' format", { short: 't' });
const target = text('target', 'Set the target build stage to build.');
const ulimit = list('ulimit', 'Ulimit options');

export const command: Command = {
  usage: '[OPTIONS] PATH | URL | -',
  flags: [
    addHost,
    buildArg,
    cacheFrom,
    cgroupParent,
    cpuPeriod,
    cpuQuota,
    cpuShares,
    cpusetCpus,
    cpusetMems,
    file,
    iidfile,
    label,
    memory,
    memorySwap,
    network,
    noCache,
    platform,
    pull,
    quiet,
    shmSize,
    squash,
    tag,
    target,
    ulimit,
  ],
  args: exactly(1),
  async run(context, [source = ''], flags) {
    const remote = /^(?:https?:\/\/|git:\/\/|ssh:\/\/|github\.com\/|git@)/.test(source);
    const built = remote
      ? { dockerfile: flags.get(file) ?? '' }
      : await contextOf(context, source, flags.get(file));
    const response = await connect(context).stream('POST', '/build', {
      query: {
        ...queryOf(context, flags),
        dockerfile: built.dockerfile,
        remote: remote ? source : undefined,
      },
      headers: { 'X-Registry-Config': await registryConfigFor(context.env) },
      ...('archive' in built ? { upload: built.archive } : {}),
    });
    let id = '';
    await showProgress(context.out, response, { onAux: (aux) => (id = aux.ID ?? id) });
    const path = flags.get(iidfile);
    if (path !== undefined) await writeFile(path, id);
  },
};

function queryOf(context: Context, flags: FlagValues) {
  const json = (value: unknown) => JSON.stringify(value);
  return {
    t: flags.get(tag),
    q: flags.get(quiet),
    nocache: flags.get(noCache),
    pull: flags.get(pull),
    squash: flags.get(squash),
    rm: 1,
    target: flags.get(target),
    networkmode: flags.get(network),
    platform: flags.get(platform),
    cgroupparent: flags.get(cgroupParent),
    cpuperiod: flags.get(cpuPeriod),
    cpuquota: flags.get(cpuQuota),
    cpushares: flags.get(cpuShares),
    cpusetcpus: flags.get(cpusetCpus),
    cpusetmems: flags.get(cpusetMems),
    memory: flags.get(memory),
    memswap: flags.get(memorySwap),
    shmsize: flags.get(shmSize),
    extrahosts: (flags.get(addHost) ?? []).join(','),
    buildargs: json(argsOf(context, flags.get(buildArg) ?? [])),
    labels: json(Object.fromEntries((flags.get(label) ?? []).map(pairOf))),
    cachefrom: json(flags.get(cacheFrom) ?? []),
    ulimits: json((flags.get(ulimit) ?? []).map(ulimitOf)),
  };
}

async function contextOf(
  context: Context,
  source: string,
  dockerfile: string | undefined,
): Promise<BuildContext> {
  if (source !== '-') {
    const piped = dockerfile === '-' ? await buffer(context.stdin) : undefined;
    return folderContext(source, dockerfile === '-' ? undefined : dockerfile, piped);
  }
  if (dockerfile === '-')
    throw commandError("can't use stdin for both build context and dockerfile");
  // A tar says so in its header; else it is a Dockerfile.
  const content = await buffer(context.stdin);
  const isTar = content.toString('latin1', 257, 262) === 'ustar' || isCompressed(content);
  if (!isTar) return dockerfileContext(content);
  const { Readable } = await import('node:stream');
  return { dockerfile: dockerfile ?? 'Dockerfile', archive: Readable.from([content]) };
}

function isCompressed(content: Buffer): boolean {
  return content.length > 4 && [0x1f8b, 0x28b5].includes(content.readUInt16BE(0));
}

/** An argument without a value has that of the environment. */
function argsOf(context: Context, given: readonly string[]): Record<string, string | null> {
  const entries = given.map((one) => {
    const [name, value] = pairOf(one);
    return [name, one.includes('=') ? value : (context.env[name] ?? null)] as const;
  });
  return Object.fromEntries(entries);
}

function pairOf(text: string): readonly [string, string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** "nofile=1024:2048" or "nofile=1024". */
function ulimitOf(text: string): { Name: string; Soft: number; Hard: number } {
  const [, name = '', soft = '', hard = soft] = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
  if (name === '') throw commandError(`invalid ulimit argument: ${text}`);
  return { Name: name, Soft: Number(soft), Hard: Number(hard) };
}
