import { Stream, type Logs, type PublishRequest } from '../../gen/logs_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError, messageOf } from '../../lib/errors.ts';
import type { CallContext, HandlersOf } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Service, Task } from '../../types/index.ts';
import type { ChangeListener } from '../store/event.ts';
import type { StoreView } from '../store/view.ts';
import type { Dispatcher } from './dispatcher.ts';
import { LogReading, type Leg, type LogItem, type LogQuery } from './log-reading.ts';

export interface LogBrokerParts {
  readonly store: Pick<StoreView, 'task' | 'tasksOfService' | 'service' | 'node'> & {
    onChange(listener: ChangeListener): Disposable;
  };
  readonly dispatcher: Pick<Dispatcher, 'subscribeLogs' | 'onSession'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const readingsMax = 256;

/** Container logs: asks the nodes of the tasks, and merges what they send. */
export class LogBroker {
  readonly #parts: LogBrokerParts;
  readonly #legs = new Map<string, Leg>();
  #readings = 0;

  constructor(parts: LogBrokerParts) {
    this.#parts = parts;
  }

  /** To be registered with `allow: 'nodes'`. */
  readonly handlers: HandlersOf<typeof Logs, CallContext> = {
    publish: (requests, context) => this.#publish(requests, context),
  };

  /**
   * Lines of the tasks as they come, and notices about what cannot be had. Ends when all have been
   * read; when following a service only with the signal, or once the service is gone.
   */
  async *logs(
    target: { readonly service: Service } | { readonly task: Task },
    query: LogQuery,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncIterable<LogItem> {
    if (this.#readings >= readingsMax) {
      throw new SwarmError(
        'resource-exhausted',
        `${readingsMax} readers of logs are connected to this manager already; try again later`,
      );
    }
    this.#readings += 1;
    const reading = new LogReading(target, query, this.#parts, this.#legs);
    const stop = () => reading.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      reading.start();
      yield* reading.items();
    } finally {
      signal.removeEventListener('abort', stop);
      reading.close();
      this.#readings -= 1;
    }
  }

  async #publish(
    requests: AsyncIterable<PublishRequest>,
    { peer }: CallContext,
  ): Promise<Record<string, never>> {
    let leg: Leg | undefined;
    try {
      for await (const request of requests) {
        leg = this.#legs.get(request.subscriptionId);
        if (leg === undefined || leg.nodeId !== peer?.nodeId) {
          throw new SwarmError('not-found', 'nobody asks for these logs any longer');
        }
        leg.opened();
        if (request.error !== '') await leg.notice(request.error);
        for (const { taskId, timeNs, stream, data } of request.messages) {
          const name = stream === Stream.STDERR ? 'stderr' : 'stdout';
          if (!(await leg.line(taskId, { timeNs, stream: name, data }))) {
            throw new SwarmError('cancelled', 'the reader of these logs has gone');
          }
        }
      }
      leg?.done();
    } catch (error) {
      leg?.broke(messageOf(error));
      throw error;
    }
    return {};
  }
}
