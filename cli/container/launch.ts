/** Starts a container with somebody at its streams, and tells how it ended. */
import { SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { silentExit } from '../command/errors.ts';
import { proxySignals } from './attach.ts';
import type { StreamName } from './create.ts';
import { converse, terminalSize } from './session.ts';

interface LaunchOptions {
  readonly id: string;
  readonly tty: boolean;
  readonly streams: readonly StreamName[];
  readonly autoRemove: boolean;
  readonly sigProxy: boolean;
  readonly detachKeys: string | undefined;
}

const daemonFailed = 125;
const notExecutable = 126;
const notFound = 127;

/**
 * Ends with the container's exit code, or with Docker's for one that did not start. Whoever leaves
 * with the detach keys ends with 0.
 */
export async function launch(
  context: Context,
  client: Client,
  options: LaunchOptions,
): Promise<void> {
  const { id, tty, streams, autoRemove } = options;
  const path = `/containers/${id}`;
  const has = (name: StreamName) => (streams.includes(name) ? 1 : undefined);
  const connection = await client.hijack('POST', `${path}/attach`, {
    query: {
      stream: 1,
      stdin: has('stdin'),
      stdout: has('stdout'),
      stderr: has('stderr'),
      detachKeys: options.detachKeys,
    },
  });
  // Asked for before the start: one that ends at once, and removes itself, is heard of too.
  const waiting = await client.stream('POST', `${path}/wait`, {
    query: { condition: autoRemove ? 'removed' : 'next-exit' },
  });
  const size = tty ? terminalSize(context) : undefined;
  if (size !== undefined) {
    await resizeEarly(client, path, size);
  }
  try {
    await client.json('POST', `${path}/start`);
  } catch (error) {
    connection.socket.destroy();
    waiting.destroy();
    throw startFailure(error);
  }
  using signals = new DisposableStack();
  if (!tty && options.sigProxy) signals.use(proxySignals(context, client, path));
  const isWhole = await converse(context, client, connection, {
    tty,
    stdin: streams.includes('stdin'),
    detachKeys: options.detachKeys,
    resizePath: `${path}/resize`,
  });
  if (!isWhole) {
    waiting.destroy();
    return;
  }
  const code = await exitCode(waiting);
  if (code !== 0) throw silentExit(code);
}

/** Before it runs, the daemon notes the size for the start, and says that it does not run yet. */
async function resizeEarly(
  client: Client,
  path: string,
  [h, w]: readonly [number, number],
): Promise<void> {
  try {
    await client.json('POST', `${path}/resize`, { query: { h, w } });
  } catch (error) {
    if (SwarmError.from(error).code !== 'already-exists') throw error;
  }
}

async function exitCode(waiting: AsyncIterable<Buffer>): Promise<number> {
  const chunks: Buffer[] = [];
  for await (const chunk of waiting) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  const answer = JSON.parse(text) as { StatusCode: number; Error?: { Message?: string } | null };
  return answer.StatusCode;
}

function startFailure(error: unknown): SwarmError {
  const { code, message } = SwarmError.from(error);
  const isMissing = /executable file not found|no such file or directory|system cannot find/i;
  const exitCode = isMissing.test(message)
    ? notFound
    : /permission denied|is a directory|exec format error/i.test(message)
      ? notExecutable
      : daemonFailed;
  return new SwarmError(code, message, { cause: error, details: { exitCode } });
}

/** What goes wrong before a container is there is the daemon's: `run` ends with 125. */
export async function orDaemonFailed<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code, message } = SwarmError.from(error);
    throw new SwarmError(code, message, { cause: error, details: { exitCode: daemonFailed } });
  }
}
