/**
 * One WireGuard device with one key: the kernel's, or wireguard-go's where the kernel has none. Its
 * encrypted packets come and go in the host's namespace; the device itself is in a namespace where
 * nothing else is, so that nobody can bring in what has not been encrypted.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, messageOf, SwarmError } from '../../../lib/errors.ts';
import { inNamespaceOf } from '../namespace.ts';
import type { Netlink } from '../netlink.ts';
import { addAddress } from '../netlink/addresses.ts';
import { addWireguard, removeLink, setLink } from '../netlink/links.ts';
import { setRoute } from '../netlink/routes.ts';
import { errno, SyscallError } from '../syscalls.ts';
import { newKeyPair, publicKeyOf, tunnelAddressOf, tunnelPrefix, type KeyPair } from './keys.ts';
import { changePeers, configure, inspect, type WgPeer } from './wg.ts';

/** One of them is free, or somebody has taken them all. */
const ports = { first: 51_820, last: 51_839 } as const;
const startTimeoutMs = 5_000;
const probeEveryMs = 20;

/** What is kept of a tunnel over a restart of the daemon. The private key is not. */
export interface TunnelRecord {
  readonly name: string;
  /** Of wireguard-go; absent for the kernel's. */
  readonly pid?: number;
  readonly madeAtMs: number;
  /** The rotation that its key was made in; absent: before the first. */
  readonly rotation?: number;
}

export interface TunnelPlace {
  /** The namespace of tunnels, and a socket of it. */
  readonly netnsFd: number;
  readonly inside: Netlink;
  /** The host's namespace, and a socket of it. */
  readonly hostFd: number;
  readonly host: Netlink;
  readonly mtu: number;
  /** Where wireguard-go writes what it has to say. */
  readonly logFile: string;
  readonly clock: Clock;
}

export class Tunnel {
  readonly record: TunnelRecord;
  readonly publicKey: string;
  readonly port: number;
  readonly #privateKey: string;
  readonly #place: TunnelPlace;

  private constructor(
    record: TunnelRecord,
    own: { readonly keys: KeyPair; readonly port: number },
    place: TunnelPlace,
  ) {
    this.record = record;
    this.publicKey = own.keys.publicKey;
    this.port = own.port;
    this.#privateKey = own.keys.privateKey;
    this.#place = place;
  }

  /** With a new key. Throws SwarmError `failed-precondition` where the host has no WireGuard. */
  static async create(name: string, rotation: number, place: TunnelPlace): Promise<Tunnel> {
    const { clock, inside } = place;
    inside.run(removeLink(name));
    const pid = makeInKernel(name, place) ? undefined : await startProcess(name, place);
    const madeAtMs = clock.nowMs();
    const record = { name, madeAtMs, rotation, ...(pid === undefined ? {} : { pid }) };
    try {
      const keys = newKeyPair();
      const port = await takePort(name, keys, place);
      const tunnel = new Tunnel(record, { keys, port }, place);
      tunnel.#setUp();
      return tunnel;
    } catch (error) {
      end(record, place);
      throw error;
    }
  }

  /** One that was made by a former daemon; undefined where it is not there any more. */
  static async adopt(record: TunnelRecord, place: TunnelPlace): Promise<Tunnel | undefined> {
    const device = await inspect(place.netnsFd, record.name);
    const isThere = place.inside.link(record.name) !== undefined;
    if (device === undefined || !isThere || device.privateKey === '(none)') {
      end(record, place);
      return undefined;
    }
    const { privateKey, port } = device;
    const keys = { privateKey, publicKey: publicKeyOf(privateKey) };
    const tunnel = new Tunnel(record, { keys, port }, place);
    tunnel.#setUp();
    return tunnel;
  }

  get address(): string {
    return tunnelAddressOf(this.publicKey);
  }

  async setPeers(peers: readonly WgPeer[]): Promise<void> {
    const { netnsFd } = this.#place;
    const { name } = this.record;
    const device = await inspect(netnsFd, name);
    if (device?.privateKey === this.#privateKey && device.port === this.port) {
      await changePeers(netnsFd, name, device, peers);
      return;
    }
    await configure(netnsFd, name, { privateKey: this.#privateKey, port: this.port, peers });
  }

  /** Packets to other nodes leave by this one. */
  carry(): void {
    const { inside } = this.#place;
    const link = inside.link(this.record.name);
    if (link === undefined) return;
    const isCarried = inside
      .routeTable('all')
      .some(
        ({ destination, linkIndex }) => destination === tunnelPrefix && linkIndex === link.index,
      );
    if (!isCarried) inside.run(setRoute({ destination: tunnelPrefix, linkIndex: link.index }));
  }

  /** Whether it is there, with its key and these peers. */
  async isIntact(peers: readonly WgPeer[]): Promise<'gone' | 'differs' | 'intact'> {
    const { netnsFd, inside } = this.#place;
    const device = await inspect(netnsFd, this.record.name);
    const link = inside.link(this.record.name);
    if (device === undefined || link === undefined) return 'gone';
    if (device.privateKey !== this.#privateKey || device.port !== this.port) return 'gone';
    const isSetUp =
      link.up &&
      link.mtu === this.#place.mtu &&
      inside.addresses('all').some(({ cidr }) => cidr === `${this.address}/128`);
    if (!isSetUp) {
      this.#setUp();
      return 'differs';
    }
    // A peer's endpoint follows it where it goes.
    const rows = (list: readonly WgPeer[]) =>
      list.map(({ publicKey, address }) => `${publicKey} ${address}`).sort();
    return rows(device.peers).join('\n') === rows(peers).join('\n') ? 'intact' : 'differs';
  }

  remove(): void {
    end(this.record, this.#place);
  }

  #setUp(): void {
    const { inside, mtu } = this.#place;
    const link = inside.link(this.record.name);
    if (link === undefined) return;
    const cidr = `${this.address}/128`;
    const hasAddress = inside.addresses('all').some((address) => address.cidr === cidr);
    inside.run(
      setLink(link.index, { mtu, up: true }),
      ...(hasAddress ? [] : [addAddress(link.index, cidr)]),
    );
  }
}

/** False where the kernel knows no WireGuard. */
function makeInKernel(name: string, { host, netnsFd }: TunnelPlace): boolean {
  try {
    host.run(addWireguard(name, netnsFd));
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === errno.notSupported) return false;
    throw error;
  }
}

/** Detached and with its output in a file: it must not end with the daemon. */
async function startProcess(name: string, place: TunnelPlace): Promise<number> {
  const { host, hostFd, netnsFd, logFile, clock } = place;
  host.run(removeLink(name));
  const log = openSync(logFile, 'w', 0o640);
  const child = inNamespaceOf(hostFd, () =>
    spawn('wireguard-go', ['-f', name], {
      detached: true,
      cwd: '/',
      stdio: ['ignore', log, log],
    }),
  );
  closeSync(log);
  child.unref();
  if (child.pid === undefined) {
    // Said once more as an event, which nobody else is to be told of.
    await once(child, 'error');
    throw new SwarmError(
      'failed-precondition',
      'a network is encrypted, and this host has no WireGuard: install the package wireguard-go, ' +
        'or a kernel with WireGuard',
    );
  }
  const deadlineMs = clock.monotonicMs() + startTimeoutMs;
  // It answers once its device is there, which then goes where it belongs.
  while ((await inspect(netnsFd, name)) === undefined) {
    if (child.exitCode !== null || clock.monotonicMs() > deadlineMs) {
      child.kill('SIGKILL');
      const said = readFileSync(logFile, 'utf8').trim().slice(-300);
      throw new SwarmError('unavailable', `wireguard-go does not run: ${said || 'no answer'}`);
    }
    await clock.sleep(probeEveryMs);
  }
  host.run(setLink(name, { netnsFd }));
  return child.pid;
}

async function takePort(name: string, keys: KeyPair, { netnsFd }: TunnelPlace): Promise<number> {
  for (let port: number = ports.first; ; port++) {
    try {
      await configure(netnsFd, name, { privateKey: keys.privateKey, port, peers: [] });
      return port;
    } catch (error) {
      if (port === ports.last || !messageOf(error).includes('in use')) throw error;
    }
  }
}

/** One that is gone is not an error. */
function end({ name, pid }: TunnelRecord, { inside }: TunnelPlace): void {
  // The number may be somebody else's by now.
  if (pid !== undefined && commandOf(pid).includes(name)) process.kill(pid, 'SIGTERM');
  inside.run(removeLink(name));
}

function commandOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return [];
    throw error;
  }
}
