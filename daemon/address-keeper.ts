/** Looks whether this host has moved: when the daemon starts, and while it runs. */
import { networkInterfaces } from 'node:os';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Interfaces } from './addresses.ts';
import type { Membership, MembershipFile } from './membership.ts';
import { isAstray, relocated } from './whereabouts.ts';

export interface AddressNews {
  /** Whether this host's addresses may have changed since the last call. */
  heard(): boolean;
}

interface AddressKeeperParts {
  /** What this host is to advertise, whatever it did before: an address, an interface, or ''. */
  readonly advertiseAddr: string;
  readonly addressNews: AddressNews;
  readonly clock: Clock;
  readonly log: Logger;
}

const lookEveryMs = 2_000;

export class AddressKeeper implements Disposable {
  readonly #file: Pick<MembershipFile, 'read' | 'write'>;
  readonly #parts: AddressKeeperParts;
  readonly #interfaces: () => Interfaces;
  #timer: Timer | undefined;
  /** The membership for which the host was last found where it should be. */
  #settled: Membership | undefined;

  constructor(
    file: Pick<MembershipFile, 'read' | 'write'>,
    parts: AddressKeeperParts,
    interfaces: () => Interfaces = networkInterfaces,
  ) {
    this.#file = file;
    this.#parts = parts;
    this.#interfaces = interfaces;
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  /**
   * The membership on disk, with the addresses that this host has now. Throws as `relocated` does,
   * and as reading the file does.
   */
  present(): Membership | undefined {
    const { advertiseAddr, log } = this.#parts;
    const known = this.#file.read();
    if (known === undefined) return undefined;
    const interfaces = this.#interfaces();
    const present = relocated(known, advertiseAddr, interfaces);
    if (present !== known) this.#file.write(present);
    const [from, to] = [known.advertiseAddr, present.advertiseAddr];
    if (from !== to) log.info('this host has moved', { from, to });
    else if (isAstray(present, interfaces)) {
      log.warn(
        'the address that other nodes know is none of this host any more, and none or several could ' +
          'be meant instead: start the daemon with --advertise-addr',
        { advertiseAddr: to },
      );
    }
    return present;
  }

  /** Calls back whenever the host is found elsewhere than the membership that is in force says. */
  watch(inForce: () => Membership | undefined, onMoved: () => void): void {
    this.#timer = this.#parts.clock.after(lookEveryMs, () => {
      this.#look(inForce(), onMoved);
      this.watch(inForce, onMoved);
    });
  }

  #look(membership: Membership | undefined, onMoved: () => void): void {
    const haveChanged = this.#parts.addressNews.heard();
    if (membership === undefined || (membership === this.#settled && !haveChanged)) return;
    const hasMoved = this.#hasMoved(membership);
    this.#settled = hasMoved ? undefined : membership;
    if (hasMoved) onMoved();
  }

  #hasMoved(membership: Membership): boolean {
    const { advertiseAddr, log } = this.#parts;
    try {
      const present = relocated(membership, advertiseAddr, this.#interfaces());
      return present.advertiseAddr !== membership.advertiseAddr;
    } catch (error) {
      log.debug('this host has no address to advertise at present', { error });
      return false;
    }
  }
}
