/** What a client has not been told of its build yet. */
import { create, toBinary } from '@bufbuild/protobuf';
import { StatusResponseSchema, type StatusResponse } from '../../../gen/buildkit/control_pb.js';

export type TraceUpdate = StatusResponse;

export class TraceBuffer {
  #waiting = create(StatusResponseSchema);
  #logBytes = 0;

  /** Of the output of steps. */
  get logBytes(): number {
    return this.#logBytes;
  }

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

  /** Drops the oldest output until no more than this is left: what fails says so at the end. */
  forget(maxBytes: number): void {
    const { logs } = this.#waiting;
    let count = 0;
    for (; this.#logBytes > maxBytes && count < logs.length; count += 1) {
      this.#logBytes -= logs[count]?.msg.length ?? 0;
    }
    logs.splice(0, count);
  }
}
