/** A client's connection as the end of a container's output. */
import type { OutputSink } from '../worker/runtime/io.ts';
import { outputFrame } from './convert/log-frame.ts';
import type { Hijacked } from './hijack.ts';

interface SinkOptions {
  /** Not for a terminal, whose output is one stream. */
  readonly framed: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export function outputSink(client: Hijacked, options: SinkOptions): OutputSink {
  return {
    async write(stream, data) {
      if (options[stream]) await client.write(outputFrame(stream, data, options.framed));
    },
    end: () => undefined,
  };
}

/** The first version whose clients know the framed stream by its own media type. */
const multiplexedSinceMinor = 42;

export function streamType(framed: boolean, minor: number): string {
  return framed && minor >= multiplexedSinceMinor
    ? 'application/vnd.docker.multiplexed-stream'
    : 'application/vnd.docker.raw-stream';
}
