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
  /** Docker's: "default", "bridge", "host" or "none"; all but "none" share the host's network. */
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

/** Arguments after buildah's own options. Throws `invalid-argument` for what cannot be honoured. */
export function budArguments(
  request: BuildRequest,
  paths: { readonly context: string; readonly dockerfile: string; readonly idFile: string },
): readonly string[] {
  const network = networkOf(request.networkMode);
  const option = (name: string, value: number | string) =>
    value === 0 || value === '' ? [] : [`--${name}=${value}`];
  return [
    'build',
    '--format=docker',
    '--pull-never',
    `--layers=${!request.squash}`,
    ...(request.squash ? ['--squash'] : []),
    ...(request.noCache ? ['--no-cache'] : []),
    `--network=${network}`,
    ...option('target', request.target),
    ...Object.entries(request.buildArgs).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...Object.entries(request.labels).map(([name, value]) => `--label=${name}=${value}`),
    ...request.extraHosts.map((entry) => `--add-host=${entry}`),
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
    `--iidfile=${paths.idFile}`,
    `--file=${paths.dockerfile}`,
    paths.context,
  ];
}

function networkOf(mode: string): string {
  if (['', 'default', 'bridge', 'host'].includes(mode)) return 'host';
  if (mode === 'none') return 'none';
  throw new SwarmError(
    'invalid-argument',
    `builds cannot use the network ${JSON.stringify(mode)}: give default, host or none`,
  );
}
