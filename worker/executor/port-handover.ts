/** Ports of this host pass from a task that is being stopped to the one that comes after it. */
import type { Clock } from '../../lib/clock.ts';
import type { PortConfig } from '../../types/index.ts';

/** A task that has ports of this host, as those see it that wait for them. */
export interface PortHolder {
  /** It is to stop, and will let go of its ports then. */
  readonly leaving: boolean;
  /** Those that its container has now. */
  readonly heldPorts: readonly PortConfig[];
  readonly stopGraceMs: number;
  /** Resolves when something about it changes. */
  readonly news: Promise<void>;
}

/** What takes longer than the holder's grace and this is not waited for: something is wrong. */
const marginMs = 15_000;

/**
 * Resolves once no task that is being stopped holds any of the ports, or has held it for too long;
 * an attempt to take the ports then tells whose they are. Rejects with the signal's reason.
 */
export async function portsLetGo(
  ports: readonly PortConfig[],
  holders: () => Iterable<PortHolder>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const wanted = new Set(ports.filter(({ publishedPort = 0 }) => publishedPort > 0).map(keyOf));
  if (wanted.size === 0) return;
  const startMs = clock.monotonicMs();
  for (;;) {
    signal.throwIfAborted();
    const holder = Iterator.from(holders()).find(
      ({ leaving, heldPorts }) => leaving && heldPorts.some((port) => wanted.has(keyOf(port))),
    );
    if (holder === undefined) return;
    const leftMs = startMs + holder.stopGraceMs + marginMs - clock.monotonicMs();
    if (leftMs <= 0) return;
    const over = Promise.withResolvers<void>();
    const wake = () => over.resolve();
    const timer = clock.after(leftMs, wake);
    signal.addEventListener('abort', wake, { once: true });
    await Promise.race([holder.news, over.promise]);
    timer.cancel();
    signal.removeEventListener('abort', wake);
  }
}

function keyOf({ protocol, publishedPort }: PortConfig): string {
  return `${protocol}/${publishedPort}`;
}
