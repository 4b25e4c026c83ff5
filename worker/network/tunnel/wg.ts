/**
 * WireGuard's own tool, which speaks to the kernel's devices and to those of wireguard-go alike. It
 * runs in the namespace of the devices, where the kernel's are to be found.
 */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { SwarmError } from '../../../lib/errors.ts';
import { inNamespaceOf } from '../namespace.ts';

const wgTimeoutMs = 5_000;
const maxErrorLength = 300;

export interface WgPeer {
  readonly publicKey: string;
  /** "10.0.0.1:51820", "[fd00::1]:51820" */
  readonly endpoint: string;
  /** Its address within the tunnel. */
  readonly address: string;
}

interface WgConfig {
  readonly privateKey: string;
  readonly port: number;
  readonly peers: readonly WgPeer[];
}

/** What a device says of itself. */
interface WgDevice {
  readonly privateKey: string;
  readonly port: number;
  readonly peers: readonly WgPeer[];
}

/**
 * All of it, for a device that carries nothing yet: a port that is named is opened anew, also where
 * it is the one that is open already, and what comes in meanwhile is lost.
 */
export async function configure(netnsFd: number, name: string, config: WgConfig): Promise<void> {
  await wg(netnsFd, ['syncconf', name, '/dev/stdin'], configText(config));
}

/** Only what differs from what the device says: peers that stay as they are notice nothing. */
export async function changePeers(
  netnsFd: number,
  name: string,
  device: WgDevice,
  wanted: readonly WgPeer[],
): Promise<void> {
  const present = new Map(device.peers.map((peer) => [peer.publicKey, peer]));
  const changed = wanted.filter((peer) => {
    const old = present.get(peer.publicKey);
    return old?.endpoint !== peer.endpoint || old.address !== peer.address;
  });
  const kept = new Set(wanted.map(({ publicKey }) => publicKey));
  const gone = [...present.keys()].filter((publicKey) => !kept.has(publicKey));
  if (gone.length > 0) {
    await wg(netnsFd, ['set', name, ...gone.flatMap((key) => ['peer', key, 'remove'])]);
  }
  if (changed.length > 0) {
    await wg(netnsFd, ['addconf', name, '/dev/stdin'], peersText(changed));
  }
}

/** Undefined where there is no such device, or nobody answers for it. */
export async function inspect(netnsFd: number, name: string): Promise<WgDevice | undefined> {
  try {
    return parseDump(await wg(netnsFd, ['show', name, 'dump']));
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'unavailable') return undefined;
    throw error;
  }
}

export function configText({ privateKey, port, peers }: WgConfig): string {
  return `[Interface]\nPrivateKey = ${privateKey}\nListenPort = ${port}\n${peersText(peers)}`;
}

function peersText(peers: readonly WgPeer[]): string {
  const sections = peers.map(
    ({ publicKey, endpoint, address }) =>
      `[Peer]\nPublicKey = ${publicKey}\nEndpoint = ${endpoint}\nAllowedIPs = ${address}/128\n`,
  );
  return sections.join('');
}

export function parseDump(dump: string): WgDevice {
  const [own = '', ...rows] = dump.trimEnd().split('\n');
  const [privateKey = '', , port = '0'] = own.split('\t');
  const peers = rows.map((row) => {
    const [publicKey = '', , endpoint = '', allowed = ''] = row.split('\t');
    return { publicKey, endpoint, address: allowed.split('/')[0] ?? '' };
  });
  return { privateKey, port: Number(port), peers };
}

async function wg(netnsFd: number, args: readonly string[], input = ''): Promise<string> {
  // It opens its input by a name, which a pipe has and the socket that Node makes has not.
  const piped = ['-c', 'cat | wg "$@"', 'sh', ...args];
  const [command, argv] = input === '' ? ['wg', args] : ['sh', piped];
  // The child is in the namespace in which the thread is when it forks.
  const child = inNamespaceOf(netnsFd, () =>
    spawn(command, argv, { stdio: 'pipe', timeout: wgTimeoutMs, killSignal: 'SIGKILL' }),
  );
  const ended = Promise.withResolvers<number | null>();
  child.once('error', ended.reject);
  child.once('close', ended.resolve);
  child.stdin.on('error', () => child.kill('SIGKILL'));
  child.stdin.end(input);
  try {
    const [code, out, problem] = await Promise.all([
      ended.promise,
      text(child.stdout),
      text(child.stderr),
    ]);
    if (code === 0) return out;
    const reason = problem.trim().slice(0, maxErrorLength) || 'it did not end in time';
    throw new SwarmError('unavailable', `wg ${args[0]} ${args[1]}: ${reason}`);
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    throw new SwarmError(
      'failed-precondition',
      'cannot run wg for an encrypted network: install the package wireguard-tools on this host',
      { cause: error },
    );
  }
}
