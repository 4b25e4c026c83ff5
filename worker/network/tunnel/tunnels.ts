/**
 * What carries the encrypted networks of this node. While a key is being replaced there are two
 * tunnels: the new one is told to the others, and takes over when they know it.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../lib/assert.ts';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { AssignedPeer, DataPath } from '../../../types/index.ts';
import { writeSettings } from '../settings.ts';
import { inNamespaceOf, Namespaces } from '../namespace.ts';
import { Netlink } from '../netlink.ts';
import { families, familyOf } from '../netlink/wire.ts';
import type { Repair } from '../part.ts';
import { tunnelAddressOf } from './keys.ts';
import { Tunnel, type TunnelPlace, type TunnelRecord } from './tunnel.ts';
import type { WgPeer } from './wg.ts';

const rotateAfterMs = 12 * 3_600_000;
/** By then everybody knows the new key; those who do not are not heard of either. */
const carryAfterMs = 20_000;
/** For as long as others may still use a key that has been replaced. */
const keepFormerMs = 60_000;
const namespaceName = 'tunnel';

interface TunnelsOptions {
  /** Pins and records go here; not shared with another daemon. */
  readonly runRoot: string;
  /** What devices are called, followed by a letter: at most 14 characters, this daemon's own. */
  readonly namePrefix: string;
}

interface TunnelsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** This node has another key than before. */
  readonly onKey: () => void;
}

interface KnownPeer {
  readonly wireguard: NonNullable<DataPath['wireguard']>;
  readonly address: string;
  /** Used until others have taken up the new one. */
  readonly former?: { readonly peer: WgPeer; readonly untilMs: number };
}

export class Tunnels implements AsyncDisposable {
  readonly #options: TunnelsOptions;
  readonly #deps: TunnelsDeps;
  readonly #log: Logger;
  readonly #namespaces: Namespaces;
  readonly #peers = new Map<string, KnownPeer>();
  #host: Netlink | undefined;
  #hostFd = -1;
  #inside: Netlink | undefined;
  /** The newest first. */
  #tunnels: Tunnel[] = [];
  #mtu = 0;
  #rotation = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: TunnelsOptions, deps: TunnelsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'tunnels' });
    this.#namespaces = new Namespaces(join(this.#folder, 'netns'), setUpNamespace);
  }

  /** In the host's namespace, where encrypted packets come and go. */
  start(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#namespaces.prepare();
    this.#host = new Netlink();
    this.#hostFd = openSync('/proc/thread-self/ns/net', 'r');
  }

  /** All stays as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    if (this.#host === undefined) return;
    this.#host[Symbol.dispose]();
    this.#host = undefined;
    closeSync(this.#hostFd);
    this.#inside?.[Symbol.dispose]();
    this.#inside = undefined;
    this.#namespaces[Symbol.dispose]();
  }

  /** What other nodes are told; undefined while there is no tunnel. */
  get published(): DataPath['wireguard'] {
    const [newest] = this.#tunnels;
    return newest && { publicKey: newest.publicKey, port: newest.port };
  }

  /** A socket of the namespace in which tunnels end: those of encrypted vxlan devices are here. */
  get inside(): Netlink {
    assert(this.#inside !== undefined, 'a tunnel has been made');
    return this.#inside;
  }

  /** Keys of earlier rotations are to be replaced: the next audit does. */
  rotate(rotation: number): void {
    this.#rotation = Math.max(this.#rotation, rotation);
  }

  /** Makes the tunnel, or takes up those of a former daemon. `mtu`: of the tunnel. */
  ensure(mtu: number): Promise<void> {
    return this.#inTurn(async () => {
      this.#mtu = mtu;
      if (this.#tunnels.length > 0) return;
      this.#openNamespace();
      await this.#adopt();
      if (this.#tunnels.length === 0) await this.#renew();
    });
  }

  /** Follows what the managers say of the other nodes. Resolves once devices know it. */
  setPeers(peers: Iterable<AssignedPeer>): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#remember(peers)) await this.#tellPeers();
    });
  }

  /** Compares, puts right, and replaces keys that are old. */
  audit(): Promise<readonly Repair[]> {
    return this.#inTurn(async () => {
      if (this.#tunnels.length === 0) return [];
      const repairs: Repair[] = [];
      if (this.#namespaces.repin(namespaceName)) {
        repairs.push({ kind: 'namespace', what: 'the pin of the tunnels' });
      }
      repairs.push(...(await this.#auditTunnels()));
      await this.#turnOver();
      return repairs;
    });
  }

  /** Takes everything away, for good. */
  async clear(): Promise<void> {
    await this.stop();
    this.#namespaces.clear();
  }

  /** Ends what there is; it can be made again. */
  stop(): Promise<void> {
    return this.#inTurn(async () => {
      this.#openNamespace();
      if (this.#tunnels.length === 0) await this.#adopt();
      for (const tunnel of this.#tunnels) tunnel.remove();
      const had = this.#tunnels.length > 0;
      this.#tunnels = [];
      this.#peers.clear();
      rmSync(this.#recordPath, { force: true });
      this.#inside?.[Symbol.dispose]();
      this.#inside = undefined;
      this.#namespaces.remove(namespaceName);
      if (had) this.#deps.onKey();
    });
  }

  /** Whether a former daemon has left anything. */
  get hasLeftovers(): boolean {
    return this.#tunnels.length === 0 && this.#namespaces.names().length > 0;
  }

  async #auditTunnels(): Promise<readonly Repair[]> {
    const repairs: Repair[] = [];
    const wanted = this.#wantedPeers();
    for (const tunnel of this.#tunnels) {
      const state = await tunnel.isIntact(wanted);
      if (state === 'intact') continue;
      repairs.push({ kind: 'tunnel', what: `${tunnel.record.name} ${state}` });
      if (state === 'differs') {
        await tunnel.setPeers(wanted);
        continue;
      }
      tunnel.remove();
      this.#tunnels = this.#tunnels.filter((other) => other !== tunnel);
    }
    if (this.#tunnels.length === 0) await this.#renew();
    return repairs;
  }

  /** A step further in the replacement of a key, where one is due. */
  async #turnOver(): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    const [newest, former] = this.#tunnels;
    assert(newest !== undefined, 'an audit leaves a tunnel');
    const ageMs = nowMs - newest.record.madeAtMs;
    if (former === undefined || ageMs >= carryAfterMs) newest.carry();
    else former.carry();
    if (former !== undefined && ageMs >= keepFormerMs) {
      former.remove();
      this.#tunnels = [newest];
      this.#save();
    }
    const isOld = ageMs >= rotateAfterMs || (newest.record.rotation ?? 0) < this.#rotation;
    // One replacement after the other: there are two tunnels at most.
    if (isOld && this.#tunnels.length === 1) await this.#renew();
    if (this.#forgetFormer(nowMs)) await this.#tellPeers();
  }

  async #renew(): Promise<void> {
    const [current] = this.#tunnels;
    const letter = current?.record.name.endsWith('a') ? 'b' : 'a';
    const name = `${this.#options.namePrefix}${letter}`;
    const tunnel = await Tunnel.create(name, this.#rotation, this.#place);
    this.#tunnels = [tunnel, ...this.#tunnels];
    this.#save();
    await tunnel.setPeers(this.#wantedPeers());
    if (current === undefined) tunnel.carry();
    this.#log.info('a new key for encrypted networks', { publicKey: tunnel.publicKey });
    this.#deps.onKey();
  }

  async #adopt(): Promise<void> {
    for (const record of this.#load()) {
      const tunnel = await Tunnel.adopt(record, this.#place);
      if (tunnel !== undefined) this.#tunnels.push(tunnel);
    }
    if (this.#tunnels.length > 0) this.#deps.onKey();
  }

  #openNamespace(): void {
    if (this.#inside !== undefined) return;
    this.#namespaces.create(namespaceName);
    const fd = this.#namespaces.fd(namespaceName);
    this.#inside = inNamespaceOf(fd, () => new Netlink());
  }

  /** Whether anything is new. */
  #remember(peers: Iterable<AssignedPeer>): boolean {
    const untilMs = this.#deps.clock.nowMs() + keepFormerMs;
    const seen = new Set<string>();
    let isNew = false;
    for (const { id, dataPath } of peers) {
      const { address, wireguard } = dataPath;
      if (wireguard === undefined) continue;
      seen.add(id);
      const known = this.#peers.get(id);
      const isSame =
        known?.address === address &&
        known.wireguard.publicKey === wireguard.publicKey &&
        known.wireguard.port === wireguard.port;
      if (isSame) continue;
      isNew = true;
      const hasNewKey = known !== undefined && known.wireguard.publicKey !== wireguard.publicKey;
      const former = hasNewKey ? { former: { peer: wgPeerOf(known), untilMs } } : {};
      this.#peers.set(id, { address, wireguard, ...former });
    }
    for (const id of this.#peers.keys()) {
      if (!seen.has(id)) isNew = this.#peers.delete(id) || isNew;
    }
    return isNew;
  }

  #forgetFormer(nowMs: number): boolean {
    let isNew = false;
    for (const [id, { former, ...peer }] of this.#peers) {
      if (former === undefined || former.untilMs > nowMs) continue;
      this.#peers.set(id, peer);
      isNew = true;
    }
    return isNew;
  }

  #wantedPeers(): readonly WgPeer[] {
    return [...this.#peers.values()].flatMap((peer) => [
      wgPeerOf(peer),
      ...(peer.former === undefined ? [] : [peer.former.peer]),
    ]);
  }

  async #tellPeers(): Promise<void> {
    const peers = this.#wantedPeers();
    for (const tunnel of this.#tunnels) await tunnel.setPeers(peers);
  }

  get #place(): TunnelPlace {
    assert(this.#host !== undefined, 'the tunnels are started');
    return {
      netnsFd: this.#namespaces.fd(namespaceName),
      inside: this.inside,
      hostFd: this.#hostFd,
      host: this.#host,
      mtu: this.#mtu,
      logFile: join(this.#folder, 'wireguard-go.log'),
      clock: this.#deps.clock,
    };
  }

  get #folder(): string {
    return join(this.#options.runRoot, 'tunnel');
  }

  get #recordPath(): string {
    return join(this.#folder, 'tunnels.json');
  }

  #save(): void {
    const records = this.#tunnels.map(({ record }) => record);
    writeFileSync(`${this.#recordPath}.new`, JSON.stringify(records), { mode: 0o600 });
    renameSync(`${this.#recordPath}.new`, this.#recordPath);
  }

  #load(): readonly TunnelRecord[] {
    try {
      return JSON.parse(readFileSync(this.#recordPath, 'utf8')) as readonly TunnelRecord[];
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /** One after the other: each finds what the one before has left. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    // The next one only waits for the end; a failure is its own caller's.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}

function wgPeerOf({ address, wireguard: { publicKey, port } }: KnownPeer): WgPeer {
  const host = familyOf(address) === families.inet6 ? `[${address}]` : address;
  return { publicKey, endpoint: `${host}:${port}`, address: tunnelAddressOf(publicKey) };
}

/** Inside the new namespace: only IPv6 is spoken there. */
function setUpNamespace(): void {
  writeSettings({
    'ipv6/conf/default/disable_ipv6': 0,
    'ipv6/conf/default/accept_dad': 0,
    'ipv6/conf/default/accept_ra': 0,
  });
  using inside = new Netlink();
  inside.setUp(1);
}
