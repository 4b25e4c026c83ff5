import { SwarmError } from '../../lib/errors.ts';
import { eventJson, type DockerEvent } from '../convert/event.ts';
import { parseUnixTime } from '../convert/time.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

/** Keys that name an object of one type. */
const typeKeys = [
  'config',
  'container',
  'daemon',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'volume',
];
const filterKeys = [...typeKeys, 'event', 'image', 'label', 'scope', 'type'];

export function eventRoutes(modules: RouteModules): Route[] {
  return [{ method: 'GET', path: '/events', handle: (exchange) => sendEvents(exchange, modules) }];
}

async function sendEvents(exchange: Exchange, { clock, events }: RouteModules): Promise<void> {
  const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
  const sinceMs = timeParameter(exchange, 'since');
  const untilMs = timeParameter(exchange, 'until');
  if (sinceMs !== undefined && untilMs !== undefined && untilMs < sinceMs) {
    throw new SwarmError(
      'invalid-argument',
      `\`since\` time (${exchange.query.get('since')}) cannot be after ` +
        `\`until\` time (${exchange.query.get('until')})`,
    );
  }
  using over = untilController(exchange, untilMs, clock);
  const live = events.subscribe(over.signal);
  const send = (event: DockerEvent) => exchange.write(`${JSON.stringify(eventJson(event))}\n`);
  exchange.begin('application/json');
  // Docker tells of the past only when asked.
  const past = sinceMs === undefined && untilMs === undefined ? [] : [...events.past()];
  for (const event of past) {
    if (event.timeMs < (sinceMs ?? 0) || event.timeMs > (untilMs ?? Infinity)) continue;
    if (matches(event, filters)) await send(event);
  }
  for await (const event of live) {
    if (event.timeMs <= (untilMs ?? Infinity) && matches(event, filters)) await send(event);
  }
  exchange.end();
}

/** Aborts with the exchange, and when the time of `until` has come. */
function untilController(
  exchange: Exchange,
  untilMs: number | undefined,
  clock: RouteModules['clock'],
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const stop = () => controller.abort();
  if (exchange.signal.aborted) stop();
  exchange.signal.addEventListener('abort', stop, { once: true });
  const leftMs = untilMs === undefined ? undefined : untilMs - clock.nowMs();
  if (leftMs !== undefined && leftMs <= 0) stop();
  const timer = leftMs === undefined ? undefined : clock.after(leftMs, stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      timer?.cancel();
      exchange.signal.removeEventListener('abort', stop);
      stop();
    },
  };
}

function timeParameter(exchange: Exchange, name: string): number | undefined {
  const text = exchange.query.get(name) ?? '';
  if (text === '') return undefined;
  const ms = parseUnixTime(text);
  if (ms === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `invalid value for '${name}': "${text}" is not seconds since 1970`,
    );
  }
  return ms;
}

function matches(event: DockerEvent, filters: Filters): boolean {
  const name = event.attributes['name'] ?? '';
  return (
    isOfAction(event.action, filters) &&
    filters.any('type', (type) => type === event.type) &&
    filters.any('scope', (scope) => scope === event.scope) &&
    filters.labels('label', event.attributes) &&
    filters.any('image', (wanted) => isOfImage(event, wanted)) &&
    typeKeys.every((key) =>
      filters.any(
        key,
        (wanted) => key === event.type && (event.id.startsWith(wanted) || name.startsWith(wanted)),
      ),
    )
  );
}

/** Those that say more after a colon are found without it; then, as in Docker, by any start. */
const actionsWithMore = ['exec_create', 'exec_start', 'health_status'];

function isOfAction(action: string, filters: Filters): boolean {
  const isStart = filters.get('event').some((wanted) => actionsWithMore.includes(wanted));
  return filters.any('event', (wanted) =>
    isStart ? action.startsWith(wanted) : action === wanted,
  );
}

/** Of the image itself, or of a container that was made of it; without a tag, of any tag. */
function isOfImage({ type, id, attributes }: DockerEvent, wanted: string): boolean {
  if (type !== 'image' && type !== 'container') return false;
  const name = attributes[type === 'image' ? 'name' : 'image'] ?? '';
  const isOwnId = type === 'image' && id.startsWith(wanted);
  return isOwnId || name === wanted || withoutTag(name) === wanted;
}

function withoutTag(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}
