/** Builds by BuildKit's protocol, as docker's CLI speaks it. */
import { linkAbort } from '../../lib/abort.ts';
import { SwarmError } from '../../lib/errors.ts';
import { SentInput, SessionInput, traceReport, type Builder } from '../../worker/build/index.ts';
import type { Exchange } from '../exchange.ts';
import { TraceStream } from '../trace-stream.ts';
import { readBuildRequest, warningsOf } from './build-request.ts';
import type { RouteModules } from './modules.ts';

type KitBuilder = Pick<Builder, 'build' | 'sessions' | 'jobs'>;

const uploadMark = 'upload-request';

/** Keeps the connection, on which the daemon asks the client for what builds need. */
export async function openSession(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { sessions } = theBuilder(backend.builder);
  const { headers } = exchange.request;
  sessions.check(headers);
  await sessions.serve(headers, exchange.takeOver('h2c'));
}

export function cancelBuild(exchange: Exchange, { backend }: RouteModules): void {
  const id = exchange.query.get('id') ?? '';
  if (id === '') throw new SwarmError('invalid-argument', 'build ID not provided');
  theBuilder(backend.builder).jobs.cancel(id);
  exchange.empty();
}

export async function buildByKit(
  exchange: Exchange,
  builder: KitBuilder,
  { clock }: RouteModules,
): Promise<void> {
  const { query, signal } = exchange;
  const sent = exchange.request as AsyncIterable<Buffer>;
  const id = query.get('buildid') ?? '';
  const upload = id.startsWith(`${uploadMark}:`) ? id.slice(uploadMark.length + 1) : undefined;
  if (upload !== undefined) {
    await builder.jobs.upload(upload, sent, { signal });
    exchange.empty();
    return;
  }
  const remote = query.get('remote') ?? '';
  const sessionId = query.get('session') ?? '';
  using held = sessionId === '' ? undefined : await builder.sessions.use(sessionId, { signal });
  const read = orEnd(held?.session, () => readBuildRequest(exchange));
  const request = {
    ...read,
    remote: remote === uploadMark ? '' : read.remote,
    buildArgs: withoutOwn(read.buildArgs),
  };
  using link = linkAbort(signal);
  using _job = builder.jobs.start(id, link);
  const stream = new TraceStream(exchange, { isQuiet: exchange.flag('q') });
  await stream.run(async () => {
    const report = traceReport({ id, nowMs: () => clock.nowMs(), emit: (one) => stream.emit(one) });
    const warnings = [...warningsOf(exchange), ...notesOn(read.buildArgs)];
    if (warnings.length > 0) {
      await report.during({ kind: 'notes' }, async ({ warn }) => warnings.forEach(warn));
    }
    const files = remote === uploadMark ? await builder.jobs.files(id, link) : undefined;
    try {
      const apart = new SentInput(files?.bytes ?? sent, () => undefined);
      const isBeside = remote === 'client-session';
      const input =
        held === undefined ? apart : new SessionInput(held.session, isBeside ? undefined : apart);
      return await builder.build(request, input, { report, signal: link.signal });
    } finally {
      files?.done();
    }
  });
}

/**
 * A client that is refused at once may not have noticed that its session is open: it would keep it,
 * and wait for ever.
 */
function orEnd<T>(session: Disposable | undefined, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    session?.[Symbol.dispose]();
    throw thrown;
  }
}

/** Arguments that are meant for the builder itself: a build that does not declare them has none. */
function withoutOwn(args: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(args).filter(([name]) => !name.startsWith('BUILDKIT_')));
}

function notesOn(args: Readonly<Record<string, string>>): readonly string[] {
  const own = Object.keys(args).filter((name) => name.startsWith('BUILDKIT_'));
  return own.map((name) => `${name} changes nothing here: images carry no cache of their builds`);
}

function theBuilder<T>(builder: T | undefined): T {
  if (builder !== undefined) return builder;
  throw new SwarmError('unimplemented', 'this daemon does not build images');
}
