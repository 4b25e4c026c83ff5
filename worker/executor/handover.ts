/** Ports and devices of this host pass from a task that ends to the one that comes after it. */
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { PortConfig } from '../../types/index.ts';

/** A task that has something of this host, as those see it that wait for it. */
export interface Holder {
  readonly task: { readonly id: string };
  /** It is to stop, and will let go of what it has then. */
  readonly leaving: boolean;
  /** Those that its container has now. */
  readonly heldPorts: readonly PortConfig[];
  /** What its container can use now, by the devices' own identities. */
  readonly heldDevices: readonly string[];
  readonly stopGraceMs: number;
  /** Resolves when something about it changes. */
  readonly news: Promise<void>;
}

interface Waiting {
  readonly holders: () => Iterable<Holder>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What takes longer than the holder's grace and this is not waited for: something is wrong. */
const marginMs = 15_000;

/**
 * Resolves once no task that is being stopped holds any of the ports, or has held it for too long;
 * an attempt to take the ports then tells whose they are. Rejects with the signal's reason.
 */
export async function portsLetGo(ports: readonly PortConfig[], waiting: Waiting): Promise<void> {
  const wanted = new Set(ports.filter(({ publishedPort = 0 }) => publishedPort > 0).map(keyOf));
  await letGo(wanted, waiting, ({ leaving, heldPorts }) => (leaving ? heldPorts.map(keyOf) : []));
}

/**
 * Resolves once no task has any of the devices, whoever is to have them: a container that still
 * runs uses its own. Throws `unavailable` where one is had for too long.
 */
export async function devicesLetGo(devices: readonly string[], waiting: Waiting): Promise<void> {
  const holder = await letGo(new Set(devices), waiting, ({ heldDevices }) => heldDevices);
  if (holder === undefined) return;
  const device = devices.find((one) => holder.heldDevices.includes(one)) ?? '';
  throw new SwarmError(
    'unavailable',
    `the device ${device} is still in use by the task ${holder.task.id}`,
  );
}

/** Who has not let go in time; nobody where all have. */
async function letGo(
  wanted: ReadonlySet<string>,
  { holders, clock, signal }: Waiting,
  keysOf: (holder: Holder) => readonly string[],
): Promise<Holder | undefined> {
  if (wanted.size === 0) return undefined;
  const startMs = clock.monotonicMs();
  for (;;) {
    signal.throwIfAborted();
    const holder = Iterator.from(holders()).find((one) =>
      keysOf(one).some((key) => wanted.has(key)),
    );
    if (holder === undefined) return undefined;
    const leftMs = startMs + holder.stopGraceMs + marginMs - clock.monotonicMs();
    if (leftMs <= 0) return holder;
    await pause(leftMs, { clock, signal }, holder.news);
  }
}

/** Shorter where the signal is aborted, or there is news. */
export async function pause(
  delayMs: number,
  { clock, signal }: Pick<Waiting, 'clock' | 'signal'>,
  news?: Promise<void>,
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const wake = () => over.resolve();
  const timer = clock.after(delayMs, wake);
  signal.addEventListener('abort', wake, { once: true });
  await (news === undefined ? over.promise : Promise.race([news, over.promise]));
  timer.cancel();
  signal.removeEventListener('abort', wake);
}

function keyOf({ protocol, publishedPort }: PortConfig): string {
  return `${protocol}/${publishedPort}`;
}
