/** A person, or a script, at the streams of a command in a container. */
import { DetachKeys } from '../../lib/detach-keys.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Client, Hijacked } from '../client/index.ts';
import { frames } from '../client/streams.ts';
import type { Context } from '../command/context.ts';
import { commandError } from '../command/errors.ts';
import { detachKeysOf } from './detach-keys.ts';

interface SessionOptions {
  readonly tty: boolean;
  /** What is typed goes in. */
  readonly stdin: boolean;
  readonly detachKeys: string | undefined;
  /** POST here to tell the size of the terminal. */
  readonly resizePath: string;
}

/** Throws Docker's sentence where a terminal is asked for, and there is none to type on. */
export function checkTerminal(
  context: Context,
  { tty, stdin }: { readonly tty: boolean; readonly stdin: boolean },
): void {
  if (tty && stdin && context.stdin.isTTY !== true) {
    throw commandError('the input device is not a TTY');
  }
}

/** For what is asked beside the session: that nothing runs (any more) is told by the session. */
export function tellUnlessGone({ err }: Context, thrown: unknown): void {
  const error = SwarmError.from(thrown);
  const { status } = error.details;
  if (status !== 404 && status !== 409) err.line(error.message);
}

/** Height and width of the terminal that the user looks at; undefined where there is none. */
export function terminalSize({ out }: Context): readonly [number, number] | undefined {
  return out.isTerminal ? [out.rows, out.columns] : undefined;
}

/** Resolves when the output has ended; false where the user has left with the detach keys. */
export async function converse(
  context: Context,
  client: Client,
  connection: Hijacked,
  options: SessionOptions,
): Promise<boolean> {
  const { socket } = connection;
  using cleanup = new DisposableStack();
  cleanup.defer(() => socket.destroy());
  const left = Promise.withResolvers<false>();
  if (options.tty) cleanup.use(followSize(context, client, options.resizePath));
  if (options.stdin) {
    const { stdin } = context;
    // A reader that waits for more would keep the process alive.
    cleanup.defer(() => stdin.destroy());
    if (options.tty) cleanup.use(context.rawTerminal());
    const keys = options.tty ? new DetachKeys(detachKeysOf(options.detachKeys)) : undefined;
    void type(context, connection, keys, () => left.resolve(false));
  } else socket.end();
  const isWhole = await Promise.race([show(context, connection, options.tty), left.promise]);
  if (!isWhole) context.err.line('read escape sequence');
  return isWhole;
}

async function show(context: Context, { socket, framed }: Hijacked, tty: boolean): Promise<true> {
  if (framed ?? !tty) {
    for await (const { stream, data } of frames(socket)) {
      await (stream === 'stderr' ? context.err : context.out).drained(data);
    }
    return true;
  }
  for await (const chunk of socket as AsyncIterable<Buffer>) await context.out.drained(chunk);
  return true;
}

async function type(
  { stdin }: Context,
  { socket }: Hijacked,
  keys: DetachKeys | undefined,
  leave: () => void,
): Promise<void> {
  // The other end may have gone: that is told by its output's end.
  socket.on('error', () => stdin.destroy());
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
      const typed = Buffer.from(chunk);
      const { data, detached } = keys?.feed(typed) ?? { data: typed, detached: false };
      if (data.length > 0 && !socket.write(data)) await drained(socket);
      if (detached) {
        leave();
        return;
      }
    }
    socket.end();
  } catch (error) {
    // An input that breaks off ends what is typed, and nothing else.
    if (!socket.destroyed) socket.end();
    if (SwarmError.from(error).code === 'invalid-argument') throw error;
  }
}

/** Resolves when there is room for more, or the other end has gone. */
function drained(socket: Hijacked['socket']): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Tells the size now, and whenever the user changes it. */
function followSize(context: Context, client: Client, path: string): Disposable {
  const tell = () => {
    const size = terminalSize(context);
    if (size === undefined) return;
    const [h, w] = size;
    // A size that comes before the command runs, or after it has ended, changes nothing.
    client
      .json('POST', path, { query: { h, w } })
      .catch((error: unknown) => tellUnlessGone(context, error));
  };
  tell();
  return context.onSignals(['SIGWINCH'], tell);
}
