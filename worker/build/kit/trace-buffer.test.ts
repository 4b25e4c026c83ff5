import { strict as assert } from 'node:assert';
import { create, fromBinary } from '@bufbuild/protobuf';
import { StatusResponseSchema } from '../../../gen/buildkit/control_pb.js';
import { TraceBuffer } from './trace-buffer.ts';

const logOf = (vertex: string, text: string) =>
  create(StatusResponseSchema, { logs: [{ vertex, msg: Buffer.from(text) }] });

function textsOf(buffer: TraceBuffer): readonly string[] {
  const { logs } = fromBinary(StatusResponseSchema, buffer.take() ?? new Uint8Array());
  return logs.map(({ vertex, msg }) => `${vertex}: ${Buffer.from(msg).toString()}`);
}

describe('what a client was not told of its build yet', () => {
  const maxBytes = 100;

  it('is handed out once', () => {
    const buffer = new TraceBuffer();
    buffer.add(logOf('v', 'one'));
    buffer.add(logOf('v', 'two'));
    buffer.forget(maxBytes);
    assert.deepEqual(textsOf(buffer), ['v: one', 'v: two']);
    assert.equal(buffer.take(), undefined);
  });

  it('loses its oldest output, and says so once', () => {
    const buffer = new TraceBuffer();
    const lines = Array.from({ length: 50 }, (_, at) => `line ${at} `.padEnd(20, '.'));
    for (const line of lines) {
      buffer.add(logOf('v', line));
      buffer.forget(maxBytes);
    }
    const [first, ...rest] = textsOf(buffer);
    assert.match(first ?? '', /^v: \[output clipped: .*\]\n$/);
    assert.deepEqual(
      rest,
      lines.slice(-rest.length).map((line) => `v: ${line}`),
    );
    assert.ok(rest.length > 0);
  });

  it('stays small under lines that are larger than all that is kept', () => {
    const buffer = new TraceBuffer();
    for (let times = 0; times < 3; times++) {
      buffer.add(logOf('v', 'x'.repeat(10 * maxBytes)));
      buffer.forget(maxBytes);
    }
    assert.equal(textsOf(buffer).length, 1);
  });
});
