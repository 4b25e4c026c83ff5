import { messageOf } from '../../lib/errors.ts';

export interface UntilOptions<T> {
  /**
   * Two minutes unless told, and never less: it costs nothing where all is well, and machines
   * differ.
   */
  readonly timeoutMs?: number;
  /** 50 milliseconds unless told. */
  readonly everyMs?: number;
  /** Which value ends the wait; any truthy one unless told. */
  readonly accept?: (value: T) => boolean;
}

const patienceMs = 120_000;
const nothing = 'nothing yet';
const hangs = new Error('the probe itself hangs');

/**
 * Probes until the value is accepted, and returns it. A probe that throws counts as "not yet". The
 * error at the end of the time names the last value seen, or the last error.
 */
export async function until<T>(
  description: string,
  probe: () => T | Promise<T>,
  options: UntilOptions<T> = {},
): Promise<T> {
  const { everyMs = 50, accept = Boolean } = options;
  const timeoutMs = Math.max(options.timeoutMs ?? 0, patienceMs);
  const endMs = performance.now() + timeoutMs;
  let seen = nothing;
  for (;;) {
    try {
      const value = await within(probe, Math.max(1, endMs - performance.now()));
      if (accept(value)) return value;
      seen = JSON.stringify(value) ?? String(value);
    } catch (error) {
      // What an earlier probe saw tells more than that the time was up during this one.
      if (error !== hangs || seen === nothing) seen = messageOf(error);
    }
    if (performance.now() + everyMs > endMs) {
      throw new Error(`not within ${timeoutMs} ms: ${description}; last seen: ${seen}`);
    }
    await sleep(everyMs);
  }
}

/** The probe's value, unless it takes longer than what is left of the time. */
async function within<T>(probe: () => T | Promise<T>, leftMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(hangs), leftMs);
  try {
    return await Promise.race([probe(), late]);
  } finally {
    clearTimeout(timer);
  }
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

/** For clean-up while the process ends, when nothing asynchronous runs any more. */
export function sleepSync(delayMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}
