/** What a client has not been told of its build yet. */
import { create, toBinary } from '@bufbuild/protobuf';
import { StatusResponseSchema, type StatusResponse } from '../../../gen/buildkit/control_pb.js';

export type TraceUpdate = StatusResponse;

const clipped = Buffer.from('[output clipped: it came faster than it was read]\n');

export class TraceBuffer {
  #waiting = create(StatusResponseSchema);
  /** Of the output of steps. */
  #logBytes = 0;

  add({ vertexes, statuses, logs }: TraceUpdate): void {
    this.#waiting.vertexes.push(...vertexes);
    this.#waiting.statuses.push(...statuses);
    this.#waiting.logs.push(...logs);
    for (const { msg } of logs) this.#logBytes += msg.length;
  }

  /** All of it as one message, encoded; undefined where there is nothing. */
  take(): Uint8Array | undefined {
    const { vertexes, statuses, logs } = this.#waiting;
    if (vertexes.length + statuses.length + logs.length === 0) return undefined;
    const bytes = toBinary(StatusResponseSchema, this.#waiting);
    this.#waiting = create(StatusResponseSchema);
    this.#logBytes = 0;
    return bytes;
  }

  /** Drops the oldest output until about this is left, and says so in its place. */
  forget(maxBytes: number): void {
    const { logs } = this.#waiting;
    const [oldest] = logs;
    let count = 0;
    for (; this.#logBytes > maxBytes && count < logs.length; count += 1) {
      this.#logBytes -= logs[count]?.msg.length ?? 0;
    }
    if (oldest === undefined || count === 0) return;
    logs.splice(0, count, { ...oldest, msg: clipped });
    this.#logBytes += clipped.length;
  }
}
