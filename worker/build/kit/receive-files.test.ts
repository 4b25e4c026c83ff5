import { strict as assert } from 'node:assert';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  Packet_PacketType as Type,
  PacketSchema,
  type Packet,
} from '../../../gen/buildkit/fsutil_pb.js';
import { isErrorCode } from '../../runtime/testing/errors.ts';
import { receiveFiles, type PacketCall } from './receive-files.ts';

type Sent = MessageInitShape<typeof PacketSchema>;

/** A client that sends what it is told to; `answers` comes after each packet that it gets. */
class FakeClient implements PacketCall {
  readonly asked: Packet[] = [];
  isCancelled = false;
  readonly #queue: Sent[];
  readonly #answers: (asked: Packet) => readonly Sent[];

  constructor(first: readonly Sent[], answers: (asked: Packet) => readonly Sent[]) {
    this.#queue = [...first];
    this.#answers = answers;
  }

  async *messages(): AsyncGenerator<Buffer> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      yield Buffer.from(toBinary(PacketSchema, create(PacketSchema, next)));
    }
  }

  send(message: Uint8Array): Promise<void> {
    const packet = fromBinary(PacketSchema, message);
    this.asked.push(packet);
    this.#queue.push(...this.#answers(packet));
    return Promise.resolve();
  }

  end(): void {}

  cancel(): void {
    this.isCancelled = true;
  }
}

const stat = (path: string, rest: Sent['stat'] = {}): Sent => ({
  type: Type.PACKET_STAT,
  stat: { path, mode: 0o644, ...rest },
});
const last: Sent = { type: Type.PACKET_STAT };
const data = (ID: number, text: string): Sent => ({
  type: Type.PACKET_DATA,
  ID,
  data: Buffer.from(text),
});
/** Every file has its own number as its contents, in two pieces. */
const honest = ({ type, ID }: Packet): readonly Sent[] =>
  type === Type.PACKET_FIN
    ? [{ type: Type.PACKET_FIN }]
    : [data(ID, 'file '), data(ID, `${ID}`), data(ID, '')];

describe('the folder of a client', () => {
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-receive-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const receive = async (client: FakeClient, maxBytes = 1000) => {
    const leftOut: string[] = [];
    let bytes = 0;
    await receiveFiles(client, folder, {
      limits: { maxEntries: 1000, maxBytes },
      onProgress: (now) => (bytes = now),
      onLeftOut: (path) => leftOut.push(path),
    });
    return { bytes, leftOut };
  };

  it('is there as it was, with modes, times and links', async () => {
    const modTime = 1_000_000_000_000_000_000n;
    const files = [
      stat('bin', { mode: 0x8000_01c0, modTime }),
      stat('bin/run', { mode: 0x0080_01ed, modTime }),
      stat('bin/same', { linkname: 'bin/run' }),
      stat('device', { mode: 0x0400_01b6 }),
      stat('up', { mode: 0x0800_01ff, linkname: '/etc/passwd', modTime }),
    ];
    const client = new FakeClient([...files, last], honest);
    const { bytes, leftOut } = await receive(client);
    assert.deepEqual(leftOut, ['device']);
    assert.equal(bytes, 'file 1'.length);
    assert.equal(readFileSync(join(folder, 'bin/run'), 'utf8'), 'file 1');
    const run = lstatSync(join(folder, 'bin/run'));
    assert.equal(run.mode & 0o7777, 0o4755);
    assert.equal(run.mtimeMs, 1e12);
    assert.equal(lstatSync(join(folder, 'bin/same')).ino, run.ino);
    const bin = lstatSync(join(folder, 'bin'));
    assert.deepEqual([bin.mode & 0o7777, bin.mtimeMs], [0o700, 1e12]);
    assert.equal(readlinkSync(join(folder, 'up')), '/etc/passwd');
    assert.equal(client.asked.at(-1)?.type, Type.PACKET_FIN);
  });

  it('may have more files than are open at a time', async () => {
    const files = Array.from({ length: 100 }, (_, index) => stat(`f${index}`));
    const client = new FakeClient([...files, last], honest);
    await receive(client, 10_000);
    assert.equal(readdirSync(folder).length, 100);
    assert.equal(readFileSync(join(folder, 'f99'), 'utf8'), 'file 99');
  });

  const broken: readonly {
    name: string;
    first: readonly Sent[];
    answers?: (asked: Packet) => readonly Sent[];
    says: RegExp;
  }[] = [
    { name: 'contents that nobody asked for', first: [data(0, 'x')], says: /not asked for/ },
    {
      name: 'contents of a folder',
      first: [stat('d', { mode: 0x8000_01ed }), data(0, 'x')],
      says: /not asked for/,
    },
    {
      name: 'more than was said',
      first: [stat('f', { size: 1n }), last],
      answers: ({ ID }) => Array.from({ length: 11 }, () => data(ID, 'x'.repeat(100))),
      says: /larger than 1000 bytes/,
    },
    { name: 'files after the last', first: [last, stat('f')], says: /after the last one/ },
    {
      name: 'requests of its own',
      first: [{ type: Type.PACKET_REQ, ID: 0 }],
      says: /asked for files/,
    },
    {
      name: 'an end before the end',
      first: [stat('f'), last],
      answers: () => [],
      says: /ended before all files/,
    },
    {
      name: 'what it says itself',
      first: [{ type: Type.PACKET_ERR, data: Buffer.from('no such folder') }],
      says: /no such folder/,
    },
    { name: 'a path out of it', first: [stat('../f')], says: /no path within/ },
  ];
  for (const { name, first, answers = honest, says } of broken) {
    it(`is refused for ${name}`, async () => {
      const client = new FakeClient(first, answers);
      await assert.rejects(receive(client), isErrorCode('invalid-argument', says));
      assert.ok(client.isCancelled);
    });
  }
});
