/** Published ports that another program of this host listens on: it would lose its traffic. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { errnoOf } from '../../lib/errors.ts';
import { finding, type Finding } from './finding.ts';

export interface PublishedPort {
  readonly protocol: string;
  readonly port: number;
  /** What it is published for, in words: "service web". */
  readonly owner: string;
}

/** A socket of this host that waits for whoever comes. */
interface Listening {
  readonly protocol: string;
  readonly port: number;
  readonly inode: string;
}

const files = [
  { path: '/proc/self/net/tcp', protocol: 'tcp', state: '0A' },
  { path: '/proc/self/net/tcp6', protocol: 'tcp', state: '0A' },
  { path: '/proc/self/net/udp', protocol: 'udp', state: '07' },
  { path: '/proc/self/net/udp6', protocol: 'udp', state: '07' },
] as const;

export async function examinePorts(
  published: readonly PublishedPort[],
  ownPid: number,
): Promise<readonly Finding[]> {
  if (published.length === 0) return [];
  const sockets = (
    await Promise.all(
      files.map(async ({ path, protocol, state }) =>
        parseSockets(await readIfThere(path), protocol, state),
      ),
    )
  ).flat();
  const taken = takenPorts(published, sockets);
  if (taken.length === 0) return [finding('ports', 'ok', portsText(published.length))];
  const holders = await holdersOf(new Set(taken.flatMap(({ inodes }) => inodes)));
  const findings = taken.flatMap(({ port, inodes }) => {
    // The daemon itself holds published ports, where nobody was there before.
    const others = inodes.filter((inode) => holders.get(inode)?.pid !== ownPid);
    const known = others.map((inode) => holders.get(inode)).find((found) => found !== undefined);
    return others.length === 0 ? [] : [takenFinding(port, known)];
  });
  return findings.length > 0 ? findings : [finding('ports', 'ok', portsText(published.length))];
}

function portsText(count: number): string {
  const what = count === 1 ? 'the published port is' : `all ${count} published ports are`;
  return `${what} free of other programs`;
}

/** The lines of /proc/net/tcp and the like whose socket waits for clients. */
export function parseSockets(text: string, protocol: string, state: string): readonly Listening[] {
  return text.split('\n').flatMap((line) => {
    const [, local = '', , found, , , , , , inode = ''] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.split(':')[1] ?? '', 16);
    return found === state && port > 0 ? [{ protocol, port, inode }] : [];
  });
}

function takenPorts(
  published: readonly PublishedPort[],
  sockets: readonly Listening[],
): readonly { readonly port: PublishedPort; readonly inodes: readonly string[] }[] {
  return published.flatMap((port) => {
    const same = sockets.filter(
      (socket) => socket.port === port.port && socket.protocol === port.protocol,
    );
    return same.length === 0 ? [] : [{ port, inodes: same.map(({ inode }) => inode) }];
  });
}

interface Holder {
  readonly pid: number;
  readonly name: string;
}

function takenFinding({ protocol, port, owner }: PublishedPort, holder?: Holder): Finding {
  const who = holder === undefined ? 'another program' : `${holder.name} (pid ${holder.pid})`;
  return finding(
    'ports',
    'error',
    `${who} listens on port ${port}/${protocol} of this host, which is published for ${owner} and ` +
      'gets its traffic: stop the program, or publish another port',
  );
}

/** Processes by the sockets that they hold. */
async function holdersOf(inodes: ReadonlySet<string>): Promise<ReadonlyMap<string, Holder>> {
  const found = new Map<string, Holder>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const inode of await socketsOf(pid)) {
      if (!inodes.has(inode) || found.has(inode)) continue;
      const name = (await readIfThere(`/proc/${pid}/comm`)).trim();
      found.set(inode, { pid: Number(pid), name });
    }
    if (found.size === inodes.size) break;
  }
  return found;
}

/** Of a process that may end while it is looked at. */
async function socketsOf(pid: string): Promise<readonly string[]> {
  const folder = `/proc/${pid}/fd`;
  try {
    const targets = await Promise.all(
      (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(goneAsEmpty)),
    );
    return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
  } catch (error) {
    goneAsEmpty(error);
    return [];
  }
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(goneAsEmpty);
}

function goneAsEmpty(error: unknown): string {
  if (['ENOENT', 'ESRCH', 'EACCES'].includes(errnoOf(error) ?? '')) return '';
  throw error;
}
