/** Follows containerd's events about tasks, across restarts of containerd. */
import { fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { TaskExitSchema, TaskOOMSchema } from '../../../gen/containerd/task_events_pb.js';
import type { Clock } from '../../../lib/clock.ts';
import { linkAbort } from '../../../lib/abort.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { ContainerdClient } from './client.ts';

interface TaskEvents {
  /** `processId` is the container's id for its first process, else the exec's. */
  exit(containerId: string, processId: string, exitCode: number, atMs: number): void;
  oom(containerId: string): void;
  /** Events from here on are seen; what happened before has to be looked up. */
  connected(): Promise<void>;
  /** The stream broke off; it is tried again after this resolves. */
  disconnected(): Promise<void>;
}

const helloTopic = '/ts-swarm/hello';
const helloEveryMs = 50;
const retryMs = 200;

/** Runs until the signal aborts. */
export async function followTaskEvents(
  client: ContainerdClient,
  handler: TaskEvents,
  deps: { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { clock, log, signal } = deps;
  while (!signal.aborted) {
    try {
      await follow(client, handler, deps);
    } catch (error) {
      if (signal.aborted) return;
      log.warn('the events of containerd broke off', { error: messageOf(error) });
    }
    try {
      await clock.sleep(retryMs, { signal });
      await handler.disconnected();
    } catch (error) {
      if (signal.aborted) return;
      log.warn('containerd is away', { error: messageOf(error) });
    }
  }
}

async function follow(
  client: ContainerdClient,
  handler: TaskEvents,
  deps: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  using own = linkAbort(deps.signal);
  const filters = ['/tasks/exit', '/tasks/oom', helloTopic].map(
    (topic) => `namespace==${client.namespace},topic=="${topic}"`,
  );
  let greeted = false;
  const greeting = greetUntil(() => greeted, client, deps.clock, own.signal);
  // Its failure also fails the stream, which is what is waited for.
  greeting.catch(() => own.abort());
  let connected: Promise<void> = Promise.resolve();
  try {
    for await (const envelope of client.events.subscribe({ filters }, { signal: own.signal })) {
      const bytes = envelope.event?.value ?? new Uint8Array(0);
      if (envelope.topic === helloTopic) {
        if (!greeted) {
          connected = handler.connected();
          // Without knowing what happened before, this stream is of no use.
          connected.catch(() => own.abort());
        }
        greeted = true;
      } else if (envelope.topic === '/tasks/exit') {
        const event = fromBinary(TaskExitSchema, bytes);
        const atMs =
          event.exitedAt === undefined ? deps.clock.nowMs() : timestampMs(event.exitedAt);
        handler.exit(event.containerId, event.id, event.exitStatus, atMs);
      } else {
        handler.oom(fromBinary(TaskOOMSchema, bytes).containerId);
      }
    }
  } finally {
    own.abort();
    await connected;
  }
}

/**
 * Nothing tells when containerd has taken a subscription, and an exit before that would be lost: so
 * we publish an event of our own until it comes back.
 */
async function greetUntil(
  done: () => boolean,
  client: ContainerdClient,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const event = { typeUrl: 'ts-swarm/hello', value: new Uint8Array(0) };
  while (!done()) {
    await client.events.publish({ topic: helloTopic, event }, { signal });
    if (!done()) await clock.sleep(helloEveryMs, { signal });
  }
}
