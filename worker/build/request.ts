/** What a build is asked to do, and buildah's words for it. Pure. */
import { SwarmError } from '../../lib/errors.ts';

export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface BuildRequest {
  /** Canonical names that the image gets; none leaves it without one. */
  readonly tags: readonly string[];
  /** Where the context is fetched from; empty: it comes with the request. */
  readonly remote: string;
  /** Path in the context. */
  readonly dockerfile: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** A stage; empty: the last one. */
  readonly target: string;
  readonly noCache: boolean;
  /** Asks the registry for the images that are built on, also where they are present. */
  readonly pull: boolean;
  readonly squash: boolean;
  /** Docker's: "default", "bridge", "host", "none", "container:NAME", or a network's name. */
  readonly networkMode: string;
  /** "name:address". */
  readonly extraHosts: readonly string[];
  readonly ulimits: readonly Ulimit[];
  /** Bytes, shares, microseconds; 0: unlimited. */
  readonly memoryBytes: number;
  readonly memorySwapBytes: number;
  readonly cpuShares: number;
  readonly cpuPeriodUs: number;
  readonly cpuQuotaUs: number;
  readonly shmBytes: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly cgroupParent: string;
}

/** The network of a build's steps. */
export interface StepNetwork {
  readonly place: 'host' | 'none' | { readonly netnsPath: string };
  /** The text of the resolv.conf that is right there; absent: the host's is. */
  readonly resolvConf?: string;
  /** What "host-gateway" stands for; absent: this host itself. */
  readonly gateway?: string;
}

export interface BuildPaths {
  readonly context: string;
  readonly dockerfile: string;
  readonly idFile: string;
  /** A file that steps without any network are to have as /etc/hosts. */
  readonly hosts: string;
  /** In place of the context's own .dockerignore. */
  readonly ignoreFile?: string;
  /** Options besides. */
  readonly extraArguments: readonly string[];
}

/** Of steps without any network: buildah writes none for them. */
export function hostsWithoutNetwork(extraHosts: readonly string[]): string {
  const entries = extraHosts.map((entry) => hostEntry(entry).split(/:(.*)/s));
  const own = entries.map(([name = '', address = '']) => `${address}\t${name}\n`);
  return `127.0.0.1\tlocalhost\n::1\tlocalhost\n${own.join('')}`;
}

/** Arguments after buildah's own options. */
export function budArguments(
  request: BuildRequest,
  network: StepNetwork,
  paths: BuildPaths,
): readonly string[] {
  const option = (name: string, value: number | string) =>
    value === 0 || value === '' ? [] : [`--${name}=${value}`];
  return [
    'build',
    '--format=docker',
    '--pull-never',
    `--layers=${!request.squash}`,
    ...(request.squash ? ['--squash'] : []),
    ...(request.noCache ? ['--no-cache'] : []),
    ...networkArguments(network),
    ...(network.place === 'none' ? [`--volume=${paths.hosts}:/etc/hosts`] : []),
    ...option('target', request.target),
    ...Object.entries(request.buildArgs).map(
      ([name, value]) => `--build-arg=${isTakenFromEnvironment(name) ? name : `${name}=${value}`}`,
    ),
    ...Object.entries(request.labels).map(([name, value]) => `--label=${name}=${value}`),
    ...request.extraHosts.map((entry) => `--add-host=${hostEntry(entry, network.gateway)}`),
    ...request.ulimits.map(({ name, soft, hard }) => `--ulimit=${name}=${soft}:${hard}`),
    ...option('memory', request.memoryBytes),
    ...option('memory-swap', request.memorySwapBytes),
    ...option('cpu-shares', request.cpuShares),
    ...option('cpu-period', request.cpuPeriodUs),
    ...option('cpu-quota', request.cpuQuotaUs),
    ...option('cpuset-cpus', request.cpusetCpus),
    ...option('cpuset-mems', request.cpusetMems),
    ...option('cgroup-parent', request.cgroupParent),
    ...option('shm-size', request.shmBytes),
    ...option('ignorefile', paths.ignoreFile ?? ''),
    ...paths.extraArguments,
    `--iidfile=${paths.idFile}`,
    `--file=${paths.dockerfile}`,
    paths.context,
  ];
}

/** What buildah itself, or a program that it starts, takes for settings of its own. */
const settings = ['PATH', 'HOME', 'TMPDIR', 'USER', 'SHELL', 'LANG', '.*_PROXY'];
const families = 'LC LD GO GIT XDG SSL DBUS LISTEN NOTIFY STORAGE REGISTRY BUILDAH _?CONTAINERS?';
const isSetting = new RegExp(
  `^(?:${settings.join('|')}|(?:${families.replaceAll(' ', '|')}).*)$`,
  'i',
);

function isTakenFromEnvironment(name: string): boolean {
  return /^[a-z_]\w*$/i.test(name) && !isSetting.test(name);
}

/**
 * Arguments of the build that buildah finds in its environment: people put passwords into them, and
 * everybody on the host can read a command line.
 */
export function budEnvironment({ buildArgs }: BuildRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(buildArgs).filter(([name]) => isTakenFromEnvironment(name)),
  );
}

function networkArguments({ place, resolvConf }: StepNetwork): readonly string[] {
  const network = typeof place === 'string' ? place : `ns:${place.netnsPath}`;
  if (resolvConf === undefined) return [`--network=${network}`];
  const lines = resolvConf.split('\n').map((line) => line.trim().split(/\s+/));
  const all = (name: string) => lines.flatMap(([word, ...rest]) => (word === name ? rest : []));
  return [
    `--network=${network}`,
    ...all('nameserver').map((address) => `--dns=${address}`),
    ...all('search').map((domain) => `--dns-search=${domain}`),
    ...all('options').map((option) => `--dns-option=${option}`),
  ];
}

/** "name:address"; `host-gateway` stands for this host. Throws `invalid-argument`. */
function hostEntry(entry: string, gateway = '127.0.0.1'): string {
  const [, name = '', address = ''] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? [];
  if (name === '') {
    throw new SwarmError('invalid-argument', `bad format for add-host: "${entry}"`);
  }
  return `${name}:${address === 'host-gateway' ? gateway : address.replace(/^\[|\]$/g, '')}`;
}
