/** What no container's process can be given, on whatever node: told before it is tried. Pure. */

const ulimitNames = new Set(
  (
    'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime ' +
    'sigpending stack'
  ).split(' '),
);

interface Ulimit {
  readonly name: string;
  /** -1: no limit. */
  readonly soft: number;
  readonly hard: number;
}

/** What is wrong with it, in the words of Docker's clients; undefined: nothing. */
export function whyNoUlimit({ name, soft, hard }: Ulimit): string | undefined {
  if (!ulimitNames.has(name.toLowerCase())) return `invalid ulimit type: ${name}`;
  const value = (number: number) => (number < 0 ? Infinity : number);
  if (value(soft) <= value(hard)) return undefined;
  return `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`;
}

/** Those of the kernel's settings that a container with an IPC namespace has of its own. */
const ipcSettings = new Set(
  'msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'
    .split(' ')
    .map((name) => `kernel.${name}`),
);
const utsSettings = new Set(['kernel.domainname', 'kernel.hostname']);

/** What is wrong with setting it in a container; undefined: nothing that is known beforehand. */
export function whyNoSysctl(
  given: string,
  host: { readonly network?: boolean; readonly ipc?: boolean } = {},
): string | undefined {
  // Both ways to write it are in use: the first separator tells which, eth0.1 is one name.
  const name = /^[^.]*\//.test(given) ? given.replaceAll('/', '.') : given;
  if (name.startsWith('net.')) {
    if (!host.network) return undefined;
    return `the sysctl ${given} cannot be set on the host's network; leave it out, or set it there`;
  }
  if (ipcSettings.has(name) || name.startsWith('fs.mqueue.')) {
    if (!host.ipc) return undefined;
    return `the sysctl ${given} cannot be set in the host's IPC namespace; leave it out`;
  }
  if (utsSettings.has(name)) return undefined;
  return (
    `the sysctl "${given}" is no container's own: it can have those that begin with net. or ` +
    'fs.mqueue., kernel.msg*, kernel.shm* and kernel.sem'
  );
}

const idMax = 2 ** 31 - 1;

/** Of `user[:group]`, or of a group alone. Names are known by images only. */
export function whyNoUser(user: string): string | undefined {
  const numbers = user.split(':', 2).filter((part) => /^[-+]?\d+$/.test(part));
  const isWrong = (text: string) => Number(text) < 0 || Number(text) > idMax;
  return numbers.some(isWrong) ? `uids and gids must be in range 0-${idMax}` : undefined;
}

/** In Docker's words. */
export function whyNoVariable(entry: string): string | undefined {
  if (entry === '' || entry.startsWith('=')) return `invalid environment variable: ${entry}`;
  const [name] = entry.split('=', 1);
  return whyNoText(`environment variable ${name?.replaceAll('\0', '')}`, entry);
}

/** What goes to the kernel ends at a NUL, and the rest would be lost without a word. */
export function whyNoText(what: string, text: string): string | undefined {
  return text.includes('\0') ? `the ${what} cannot have a NUL character in it` : undefined;
}

/** The kernel's limit. */
const hostnameMax = 64;

export function whyNoHostname(hostname: string): string | undefined {
  if (Buffer.byteLength(hostname) <= hostnameMax) return whyNoText('hostname', hostname);
  return `the hostname ${hostname} is too long: it can have ${hostnameMax} characters`;
}

/** Docker's words; an empty path is the image's. */
export function whyNoWorkdir(path: string): string | undefined {
  if (path === '' || path.startsWith('/')) return whyNoText('working directory', path);
  return `the working directory '${path}' is invalid, it needs to be an absolute path`;
}

export function whyNoSearchDomain(domain: string): string | undefined {
  return /\s/.test(domain) ? `"${domain}" is no search domain` : undefined;
}

export function whyNoResolverOption(option: string): string | undefined {
  return /[\r\n]/.test(option) ? `"${option}" is no option of a resolver` : undefined;
}

/** The container would be "starting" for ever. */
export function whyNoHealthTest(test: readonly string[]): string | undefined {
  const [kind, ...words] = test;
  if (kind === undefined || kind === 'NONE') return undefined;
  if (kind !== 'CMD' && kind !== 'CMD-SHELL') {
    return `the health check begins with "${kind}": the first word is NONE, CMD or CMD-SHELL`;
  }
  return words.length === 0 ? `the health check has no command after ${kind}` : undefined;
}
