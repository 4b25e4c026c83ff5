/**
 * Where our answers differ from Docker 20.10's on purpose, and why. json-cases.ts fails on any other
 * difference, and on a difference listed here that is there no more.
 */
interface Difference {
  /** Of the documents: "GET /info" and so on. */
  readonly of: string;
  /** As json-cases.ts tells it, as a pattern. */
  readonly what: RegExp;
  readonly why: string;
}

export const differences: readonly Difference[] = [
  {
    of: 'GET /info',
    what: /^\.(KernelMemory|KernelMemoryTCP) is missing$/,
    why: 'Docker has deprecated kernel memory limits and dropped these fields since.',
  },
  {
    of: 'GET /info',
    what: /^\.CDISpecDirs is extra$/,
    why: 'A field of newer versions of the API: where descriptions of devices are read from.',
  },
  {
    of: 'GET /info',
    what: /^\.RegistryConfig\.(AllowNondistributableArtifacts\w+|Mirrors) is null, not array$/,
    why: 'Newer Dockers write null as well; clients treat both as empty.',
  },
  {
    of: 'GET /info',
    what: /^\.Runtimes\.\S+ is (extra|missing)$/,
    why: 'Runtimes are what the host has: crun here where it works, runc there.',
  },
  {
    of: 'GET /services/plain',
    what: /^\.Endpoint\.Spec\.Mode is extra$/,
    why: 'Docker leaves it out for a service without any port, though it means vip.',
  },
  {
    of: 'GET /tasks',
    what: /^\[\]\.Name is extra$/,
    why: 'The API documents a task’s name; Docker leaves it out.',
  },
  {
    of: 'GET /tasks/{task}',
    what: /^\.(Name|Spec\.Runtime) is extra$/,
    why: 'As in the list of tasks.',
  },
  {
    of: 'GET /tasks',
    what: /^\[\]\.Spec\.Runtime is extra$/,
    why: 'Written out as in the service that the task is of.',
  },
  {
    of: 'GET /images/{image}/json',
    what: /^\.(Container|ContainerConfig) is missing$/,
    why: 'Newer versions of the API have dropped these traces of how an image was built.',
  },
  {
    of: 'GET /images/{image}/json',
    what: /^\.GraphDriver\.Data is null, not object$/,
    why: 'Layers are containerd’s: Docker writes null as well where containerd keeps its images.',
  },
  {
    of: 'GET /tasks',
    what: /^\[\]\.NetworksAttachments\[\]\.Network\.Spec\.(DriverConfiguration|IPAMOptions)\b/,
    why: 'The spec of the routing mesh, which Docker leaves empty: ours says what there is.',
  },
  {
    of: 'GET /networks/bridge',
    what: /^\.Options\..* is missing$/,
    why: 'They are settings of Docker’s own bridge, of which ours has none that could be chosen.',
  },
  {
    of: 'GET /networks/bridge',
    what: /^\.IPAM\.Config\[\]\.Gateway is extra$/,
    why: 'Docker leaves it out where it has found its bridge’s address on the host.',
  },
  ...['/none', '/bridge', '/joined', '/ingress', '/unused', ''].map((path) => ({
    of: `GET /networks${path}`,
    what: /^(\[\])?\.EnableIPv4 is extra$/,
    why: 'A field of newer versions of the API.',
  })),
];

/** Facts whose keys are data, or which differ from host to host: not part of a document's shape. */
export const ignored: readonly RegExp[] = [
  /^\.DriverStatus/,
  /^\.Containerd/,
  /^\.RegistryConfig\.IndexConfigs\./,
  /^\[\]\.Description\.Engine\.Plugins/,
  /^\.Containers\.\S+ is (extra|missing)$/,
];
