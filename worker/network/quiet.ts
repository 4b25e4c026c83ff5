/** Spares a node at rest the look at every link, address and route of all its namespaces. */
import type { Clock } from '../../lib/clock.ts';
import type { NetlinkSockets } from './netlink-sockets.ts';
import type { Repair } from './part.ts';

/** How often all is looked at though the kernel has told of no change. */
const sweepEveryMs = 60_000;

export class Quiet {
  readonly #deps: { readonly sockets: Pick<NetlinkSockets, 'wasTouched'>; readonly clock: Clock };
  /** When all was last looked at and found right, with no change since. */
  #rightMs = -Infinity;

  constructor(deps: { sockets: Pick<NetlinkSockets, 'wasTouched'>; clock: Clock }) {
    this.#deps = deps;
  }

  /** Tells the audit whether links, addresses and routes are as one before has found them right. */
  async around(audit: (isQuiet: boolean) => Promise<readonly Repair[]>): Promise<void> {
    const { clock, sockets } = this.#deps;
    const nowMs = clock.monotonicMs();
    // What changes from here on is heard by the next.
    const isQuiet = !sockets.wasTouched() && nowMs - this.#rightMs < sweepEveryMs;
    if (isQuiet) {
      await audit(true);
      return;
    }
    this.#rightMs = -Infinity;
    const repairs = await audit(false);
    if (repairs.length === 0) this.#rightMs = nowMs;
  }
}
