import type { MessageInitShape } from '@bufbuild/protobuf';
import type { LogSubscription } from '../../gen/dispatcher_pb.js';
import { Logs, Stream, type LogMessageSchema } from '../../gen/logs_pb.js';
import { linkAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError, messageOf } from '../../lib/errors.ts';
import type { Connection, RequestStream } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { TaskExecutor } from '../executor/executor.ts';
import type { LogLine, LogQuery } from '../runtime/runtime.ts';

type Message = MessageInitShape<typeof LogMessageSchema>;
type Publishing = RequestStream<
  { subscriptionId: string; messages?: Message[]; error?: string },
  unknown
>;

const subscriptionsMax = 128;
const pendingBytesMax = 256 * 1024;
/** A container whose task is starting has no log yet: a follower is given this long. */
const absentRetryMs = 250;
const absentRetries = 40;

interface LogPublisherParts {
  readonly connection: Connection;
  readonly executor: Pick<TaskExecutor, 'logs'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends every subscription. */
  readonly signal: AbortSignal;
}

/** Answers the managers' requests for logs, each over a stream of its own. */
export class LogPublisher {
  readonly #parts: LogPublisherParts;
  readonly #open = new Map<string, AbortController>();

  constructor(parts: LogPublisherParts) {
    this.#parts = parts;
  }

  take(subscription: LogSubscription): void {
    const { id, close } = subscription;
    if (close) {
      this.#open.get(id)?.abort(new SwarmError('cancelled', 'the reader has gone'));
      return;
    }
    if (this.#open.has(id)) return;
    this.#run(subscription).catch((error: unknown) =>
      this.#parts.log.debug('logs ended early', { subscription: id, error: messageOf(error) }),
    );
  }

  async #run(subscription: LogSubscription): Promise<void> {
    const { id } = subscription;
    using life = linkAbort(this.#parts.signal);
    const stream = this.#parts.connection.client(Logs).publish({ signal: life.signal });
    await stream.send({ subscriptionId: id });
    if (this.#open.size >= subscriptionsMax) {
      const error = `the node answers ${subscriptionsMax} requests for logs already`;
      await stream.send({ subscriptionId: id, error });
      await stream.finish();
      return;
    }
    this.#open.set(id, life);
    try {
      const outlet = new Outlet(id, stream);
      const query = queryOf(subscription);
      const reading = subscription.taskIds.map((taskId) =>
        this.#task(taskId, query, outlet, life.signal),
      );
      await Promise.all([outlet.run(), Promise.all(reading).then(() => outlet.end())]);
      await stream.finish();
    } finally {
      // The other tasks' readers end, too, where one has failed because nobody listens.
      life.abort(new SwarmError('cancelled', 'the subscription is over'));
      this.#open.delete(id);
    }
  }

  async #task(taskId: string, query: LogQuery, outlet: Outlet, signal: AbortSignal): Promise<void> {
    for (let retries = query.follow ? absentRetries : 0; ; retries -= 1) {
      try {
        for await (const line of this.#parts.executor.logs(taskId, query, { signal })) {
          await outlet.line(taskId, line);
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        const { code, message } = SwarmError.from(error);
        if (code !== 'not-found' || retries === 0) {
          outlet.error(`logs of task ${taskId} cannot be read: ${message}`);
          return;
        }
        await this.#parts.clock.sleep(absentRetryMs, { signal });
      }
    }
  }
}

/** Many readers' lines on one stream: what gathers while a message is sent makes the next one. */
class Outlet {
  readonly #id: string;
  readonly #stream: Publishing;
  readonly #errors: string[] = [];
  readonly #waiting: (() => void)[] = [];
  #messages: Message[] = [];
  #bytes = 0;
  #ended = false;
  #broken = false;
  #wake: (() => void) | undefined;

  constructor(id: string, stream: Publishing) {
    this.#id = id;
    this.#stream = stream;
  }

  /** Resolves once there is room for more; throws when the stream is broken. */
  async line(taskId: string, { timeNs, stream, data }: LogLine): Promise<void> {
    const number = stream === 'stderr' ? Stream.STDERR : Stream.STDOUT;
    this.#messages.push({ taskId, timeNs, stream: number, data: new Uint8Array(data) });
    this.#bytes += data.length + taskId.length;
    this.#wake?.();
    while (this.#bytes >= pendingBytesMax && !this.#broken) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#broken) throw new SwarmError('cancelled', 'the reader of the logs has gone');
  }

  error(text: string): void {
    this.#errors.push(text);
    this.#wake?.();
  }

  /** Nothing more comes: `run` ends when all is sent. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        if (this.#messages.length > 0) await this.#sendLines();
        else if (this.#errors.length > 0) {
          await this.#stream.send({ subscriptionId: this.#id, error: this.#errors.shift() ?? '' });
        } else if (this.#ended) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.#broken = !this.#ended;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  async #sendLines(): Promise<void> {
    const messages = this.#messages;
    this.#messages = [];
    await this.#stream.send({ subscriptionId: this.#id, messages });
    this.#bytes = this.#messages.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function queryOf(subscription: LogSubscription): LogQuery {
  const { follow, tail, sinceMs, untilMs, stdout, stderr } = subscription;
  return {
    follow,
    stdout,
    stderr,
    ...(tail < 0n ? {} : { tail: Number(tail) }),
    ...(sinceMs > 0 ? { sinceMs } : {}),
    ...(untilMs > 0 ? { untilMs } : {}),
  };
}
