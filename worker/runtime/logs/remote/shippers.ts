/** The ways to servers of logs of all containers of a daemon. */
import { access } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Clock } from '../../../../lib/clock.ts';
import { errnoOf, SwarmError } from '../../../../lib/errors.ts';
import type { Logger } from '../../../../lib/log.ts';
import type { LineTaker } from '../log-pump.ts';
import type { RemoteLogConfig } from './config.ts';
import { LogShipper } from './shipper.ts';
import { journalSocket, openWire } from './wires.ts';

export class Shippers {
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #closing = new Set<Promise<void>>();

  constructor(deps: { readonly clock: Clock; readonly log: Logger }) {
    this.#deps = deps;
  }

  /** Undefined for a container whose output stays here. */
  takerOf(containerId: string, config: RemoteLogConfig | undefined): LineTaker | undefined {
    if (config === undefined) return undefined;
    const { clock, log } = this.#deps;
    const shipper = new LogShipper(config, {
      clock,
      log: log.child({ containerId }),
      sender: { hostname: hostname(), pid: process.pid },
      open: (wanted) => openWire(wanted, clock, journalSocket),
    });
    return {
      ship: (line) => shipper.ship(line),
      room: () => shipper.room(),
      hurry: () => shipper.hurry(),
      close: () => this.#close(shipper),
    };
  }

  /** Nobody waits for a server when a container has ended, but the daemon does when it ends. */
  #close(shipper: LogShipper): void {
    const closing = shipper.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#closing);
  }
}

/** Whether there is a journal here to be written to. */
export async function hasJournal(): Promise<boolean> {
  try {
    await access(journalSocket);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** Throws `failed-precondition` where the container's log could go nowhere. */
export async function checkRemoteLog(config: RemoteLogConfig | undefined): Promise<void> {
  if (config?.kind !== 'journald' || (await hasJournal())) return;
  throw new SwarmError(
    'failed-precondition',
    'failed to initialize logging driver: journald is not enabled on this host',
  );
}
