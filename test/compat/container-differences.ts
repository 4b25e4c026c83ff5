/** Where our containers' documents differ from Docker 20.10's on purpose, and why. */
export interface ContainerDifference {
  /** "GET /containers/doc/json" and so on. */
  readonly of: RegExp;
  readonly what: RegExp;
  readonly why: string;
}

export const containerDifferences: readonly ContainerDifference[] = [
  {
    of: /^GET \/containers\/doc\/json/,
    what: /^\.HostConfig\.(KernelMemory|KernelMemoryTCP) is missing$/,
    why: 'Docker has deprecated kernel memory limits and dropped these fields since.',
  },
  {
    of: /^GET \/containers\/doc\/json/,
    what: /^\.GraphDriver\.Data is null, not object$/,
    why: 'Layers are containerd’s, and its snapshotters have no such data, as in newer Dockers.',
  },
  {
    of: /^GET \/(containers\/(doc\/)?json|system\/df)/,
    what: /\.Networks\.bridge\.DNSNames is extra$/,
    why: 'A field of newer versions of the API.',
  },
  {
    of: /^GET \/system\/df/,
    what: /^\.SizeRw is extra$/,
    why: 'Containerd counts what the disk holds, the places of mounts included; Docker only bytes of files.',
  },
  {
    of: /^POST \/containers\/doc\/wait/,
    what: /^\.Error is missing$/,
    why: 'Newer versions of the API leave it out where there is none.',
  },
  {
    of: /stats/,
    what: /^\.memory_stats\.stats\.\w+ is (extra|missing)$/,
    why: 'These are the kernel’s counters, of which Docker 20.10 passes on those that it knows.',
  },
];
