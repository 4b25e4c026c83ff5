/** Commands inside running containers. */
import { DetachKeys, parseDetachKeys } from '../../lib/detach-keys.ts';
import { SwarmError } from '../../lib/errors.ts';
import { execDocument, execStartDocument, type ExecDocument } from '../../types/index.ts';
import type { OutputSink } from '../../worker/runtime/io.ts';
import type { Exchange } from '../exchange.ts';
import { outputSink, streamType } from '../output-sink.ts';
import type { Route } from '../router.ts';
import { carryInput, sizeOf, untilEnded } from './container-streams.ts';
import type { RouteModules } from './modules.ts';

export function execRoutes(modules: RouteModules): Route[] {
  const { containers } = modules.backend;
  const { execs } = containers;
  return [
    {
      method: 'POST',
      path: '/containers/{id...}/exec',
      async handle(exchange) {
        const { view } = await containers.find(exchange.param('id'));
        const document = await exchange.body(execDocument);
        detachKeysOf(document);
        exchange.json({ Id: execs.create(view, document) }, 201);
      },
    },
    { method: 'POST', path: '/exec/{id}/start', handle: (exchange) => start(exchange, modules) },
    {
      method: 'POST',
      path: '/exec/{id}/resize',
      async handle(exchange) {
        await execs.resize(exchange.param('id'), sizeOf(exchange));
        exchange.empty(200);
      },
    },
    { method: 'GET', path: '/exec/{id}/json', handle: (exchange) => inspect(exchange, modules) },
  ];
}

/** Of a terminal: at these keys the client leaves, and the command runs on. */
function detachKeysOf({ detachKeys, tty }: ExecDocument): DetachKeys | undefined {
  const parsed = parseDetachKeys(detachKeys);
  if ('unknown' in parsed) {
    throw new SwarmError('invalid-argument', `Invalid escape keys (${detachKeys}) provided`);
  }
  return tty ? new DetachKeys(parsed.keys) : undefined;
}

const nowhere: OutputSink = { write: () => Promise.resolve(), end: () => undefined };

async function start(exchange: Exchange, { backend, log }: RouteModules): Promise<void> {
  const { execs } = backend.containers;
  const id = exchange.param('id');
  const { document } = execs.view(id);
  const { detach, consoleSize = document.consoleSize } = await exchange.body(execStartDocument);
  const [height = 0, width = 0] = consoleSize ?? [];
  const size = height > 0 && width > 0 ? { consoleSize: { height, width } } : {};
  if (detach) {
    await execs.start(id, nowhere, { stdin: false, ...size });
    exchange.empty(200);
    return;
  }
  const framed = !document.tty;
  const client = exchange.hijack(streamType(framed, exchange.minor));
  const sink = outputSink(client, {
    framed,
    stdout: document.attachStdout || document.tty,
    stderr: document.attachStderr,
  });
  try {
    const process = await execs.start(id, sink, { stdin: document.attachStdin, ...size });
    const { exited, stdin } = process;
    const typed = carryInput(client, { stdin, keys: detachKeysOf(document), log });
    const left = typed.then(async (end) => {
      if (end === 'detached') execs.tellLeft(id);
      else await exited;
    });
    await untilEnded(exchange, Promise.race([exited, left]));
  } catch (error) {
    // The status has been sent: Docker's clients show what comes on the stream.
    const { message } = SwarmError.from(error);
    await sink.write('stdout', Buffer.from(`${message}\r\n`));
  }
  client.end();
}

function inspect(exchange: Exchange, { backend }: RouteModules): void {
  const { id, containerId, containerUser, document, running, exitCode, pid } =
    backend.containers.execs.view(exchange.param('id'));
  const [entrypoint = '', ...rest] = document.cmd;
  const user = document.user || containerUser;
  exchange.json({
    ID: id,
    Running: running,
    ExitCode: exitCode ?? null,
    ProcessConfig: {
      tty: document.tty,
      entrypoint,
      arguments: rest,
      privileged: document.privileged,
      ...(user === '' ? {} : { user }),
    },
    OpenStdin: document.attachStdin,
    OpenStderr: document.attachStderr,
    OpenStdout: document.attachStdout,
    CanRemove: false,
    ContainerID: containerId,
    DetachKeys: document.detachKeys,
    Pid: pid,
  });
}
