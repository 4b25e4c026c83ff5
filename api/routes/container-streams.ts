/** Containers' streams: attach, logs, terminals, what runs inside and what it uses. */
import { DetachKeys, parseDetachKeys } from '../../lib/detach-keys.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Target } from '../../worker/container/manager.ts';
import type { StdinPipe } from '../../worker/runtime/io.ts';
import { containerLogFrame, type LogStyle } from '../convert/log-frame.ts';
import type { Exchange } from '../exchange.ts';
import type { Hijacked } from '../hijack.ts';
import { outputSink, streamType } from '../output-sink.ts';
import type { Route } from '../router.ts';
import { sendStats } from './container-stats.ts';
import { logQuery } from './logs.ts';
import type { RouteModules } from './modules.ts';

export function containerStreamRoutes(modules: RouteModules): Route[] {
  const { containers } = modules.backend;
  const on = (
    method: Route['method'],
    verb: string,
    handle: (exchange: Exchange, target: Target, modules: RouteModules) => Promise<void>,
  ): Route => ({
    method,
    path: `/containers/{id...}/${verb}`,
    handle: async (exchange) =>
      handle(exchange, await containers.find(exchange.param('id')), modules),
  });
  return [
    on('POST', 'attach', attach),
    on('GET', 'attach/ws', attachWebSocket),
    on('GET', 'logs', logs),
    on('POST', 'resize', resize),
    on('GET', 'top', top),
    on('GET', 'stats', sendStats),
  ];
}

function refuseUnready({ view }: Target): void {
  if (view.state.status === 'paused') {
    throw new SwarmError(
      'aborted',
      `container ${view.record.id} is paused, unpause the container before attach`,
    );
  }
  if (view.state.status === 'restarting') {
    throw new SwarmError(
      'aborted',
      `container ${view.record.id} is restarting, wait until the container is running`,
    );
  }
}

/** Of a terminal: at these keys a client leaves, and the container runs on. */
function detachKeysOf(exchange: Exchange, { view }: Target): DetachKeys | undefined {
  const text = exchange.query.get('detachKeys') ?? '';
  const parsed = parseDetachKeys(text);
  if ('unknown' in parsed) {
    throw new SwarmError('invalid-argument', `Invalid detach keys (${text}) provided`);
  }
  return view.record.config.tty ? new DetachKeys(parsed.keys) : undefined;
}

async function attach(exchange: Exchange, target: Target, modules: RouteModules): Promise<void> {
  refuseUnready(target);
  const { view } = target;
  const framed = !view.record.config.tty;
  const wanted = { stdout: exchange.flag('stdout'), stderr: exchange.flag('stderr'), framed };
  await join(exchange, target, modules, {
    wanted,
    stdin: exchange.flag('stdin'),
    open: () => exchange.hijack(streamType(framed, exchange.minor)),
  });
}

/** Of the API, 1.N: streams can be chosen since the one, frames are binary since the other. */
const chosenStreamsSince = 42;
const binaryFramesSince = 28;

/** As in Docker, both outputs are one stream without frames of their own. */
async function attachWebSocket(
  exchange: Exchange,
  target: Target,
  modules: RouteModules,
): Promise<void> {
  refuseUnready(target);
  const isOn = (name: string) => exchange.minor < chosenStreamsSince || exchange.flag(name);
  await join(exchange, target, modules, {
    wanted: { stdout: isOn('stdout'), stderr: isOn('stderr'), framed: false },
    stdin: isOn('stdin'),
    open: () => exchange.webSocket({ asText: exchange.minor < binaryFramesSince }),
  });
}

interface Joining {
  readonly wanted: { readonly stdout: boolean; readonly stderr: boolean; readonly framed: boolean };
  readonly stdin: boolean;
  readonly open: () => Hijacked;
}

async function join(
  exchange: Exchange,
  target: Target,
  { backend, log }: RouteModules,
  { wanted, stdin: isTyped, open }: Joining,
): Promise<void> {
  const { own, view } = target;
  const keys = detachKeysOf(exchange, target);
  const client = open();
  if (exchange.flag('logs') && (wanted.stdout || wanted.stderr)) {
    await replay(exchange, client, target, backend.containers, wanted);
  }
  if (!exchange.flag('stream')) {
    client.end();
    return;
  }
  const stdin = isTyped && view.record.config.openStdin;
  const sink = outputSink(client, wanted);
  const request = { stdin, ...(wanted.stdout || wanted.stderr ? { sink } : {}) };
  using attachment =
    own === undefined
      ? backend.containers.inside.attachTask(view, request)
      : own.streams.attach(request);
  backend.containers.events.tell('attach', view.record);
  const typed = carryInput(client, { stdin: attachment.stdin, keys, log }).then((end) => {
    if (end === 'detached') backend.containers.events.tell('detach', view.record);
  });
  const { stdinOnce, tty } = view.record.config;
  // As in Docker, who has typed all that there is to type leaves, unless the container has its end.
  const leaves = stdin && (tty || !stdinOnce) ? [typed] : [];
  await untilEnded(exchange, Promise.race([attachment.ended, ...leaves]));
  client.end();
}

/** Resolves when the work is over, or the client has gone. */
export async function untilEnded(exchange: Exchange, ended: Promise<unknown>): Promise<void> {
  const gone = Promise.withResolvers<void>();
  const onAbort = () => gone.resolve();
  if (exchange.signal.aborted) onAbort();
  exchange.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([ended, gone.promise]);
  } finally {
    exchange.signal.removeEventListener('abort', onAbort);
  }
}

interface Typing {
  readonly stdin: StdinPipe | undefined;
  readonly keys: DetachKeys | undefined;
  readonly log: Logger;
}

/**
 * What the client types goes in as fast as it is read there; its end, or its going, is the end. At
 * the detach keys the input stays open.
 */
export async function carryInput(
  client: Hijacked,
  { stdin, keys, log }: Typing,
): Promise<'ended' | 'detached'> {
  // Nobody waits for it: what goes wrong is told in the log, and ends no more than the input.
  const warn = (error: unknown) =>
    log.warn("a client's input was not carried to its end", { error: messageOf(error) });
  try {
    for await (const typed of client.input) {
      const { data, detached } = keys?.feed(typed) ?? { data: typed, detached: false };
      if (data.length > 0) await stdin?.write(data);
      if (detached) return 'detached';
    }
  } catch (error) {
    // A connection that breaks off is an end like another.
    if (SwarmError.from(error).code === 'internal' && !isBroken(error)) warn(error);
  }
  await stdin?.end().catch(warn);
  return 'ended';
}

function isBroken(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(code);
}

async function replay(
  exchange: Exchange,
  client: Hijacked,
  target: Target,
  containers: RouteModules['backend']['containers'],
  wanted: { readonly stdout: boolean; readonly stderr: boolean; readonly framed: boolean },
): Promise<void> {
  const style: LogStyle = { timestamps: false, details: false, framed: wanted.framed };
  const query = { follow: false, stdout: wanted.stdout, stderr: wanted.stderr };
  for await (const line of containers.logs(target, query, { signal: exchange.signal })) {
    await client.write(containerLogFrame(line, style));
  }
}

async function logs(exchange: Exchange, target: Target, { backend }: RouteModules): Promise<void> {
  const query = logQuery(exchange);
  const framed = !target.view.record.config.tty;
  const style: LogStyle = {
    timestamps: exchange.flag('timestamps'),
    details: exchange.flag('details'),
    framed,
  };
  const lines = backend.containers.logs(target, query, { signal: exchange.signal });
  exchange.begin(streamType(framed, exchange.minor));
  for await (const line of lines) await exchange.write(containerLogFrame(line, style));
  exchange.end();
}

export function sizeOf(exchange: Exchange): { width: number; height: number } {
  const read = (name: string) => {
    const text = exchange.query.get(name) ?? '';
    if (/^\d{1,5}$/.test(text)) return Number(text);
    throw new SwarmError('invalid-argument', `invalid size of a terminal: ${name}="${text}"`);
  };
  return { height: read('h'), width: read('w') };
}

async function resize(
  exchange: Exchange,
  { own, view }: Target,
  { backend }: RouteModules,
): Promise<void> {
  const size = sizeOf(exchange);
  if (own !== undefined) own.streams.size = size;
  if (view.state.status !== 'running') {
    throw new SwarmError('aborted', `container ${view.record.id} is not running`);
  }
  await backend.containers.inside.resize(view, size);
  const more = { height: String(size.height), width: String(size.width) };
  backend.containers.events.tell('resize', view.record, more);
  exchange.empty(200);
}

async function top(exchange: Exchange, target: Target, { backend }: RouteModules): Promise<void> {
  const { titles, processes } = await backend.containers.inside.top(
    target.view,
    exchange.query.get('ps_args') || '-ef',
  );
  backend.containers.events.tell('top', target.view.record);
  exchange.json({ Processes: processes, Titles: titles });
}
