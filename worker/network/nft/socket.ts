/**
 * A socket to netfilter, of the namespace in which it is made. A batch takes effect as a whole or
 * not at all.
 */
import { close, closeSync } from 'node:fs';
import { SwarmError } from '../../../lib/errors.ts';
import {
  controlTypes,
  flags,
  headerBytes,
  readAttributes,
  readMessages,
  writeMessage,
  type Message,
  type Request,
} from '../netlink/wire.ts';
import {
  rawSocket,
  receive,
  send,
  setReceiveTimeout,
  setSendBuffer,
  socketFamilies,
  SyscallError,
} from '../syscalls.ts';
import { generationAttributes, nftSubsystem, nftTypes } from './numbers.ts';

const netfilterProtocol = 12;
const receiveTimeoutSeconds = 5;
/** What the kernel lets a socket send in one piece unless it is asked for more. */
const usualBytesMax = 128 * 1024;
const interruptedFlag = 0x10;
/** A dump that the rules change under is begun anew; they rarely change twice in a row. */
const dumpAttemptsMax = 10;
/** Shared: what is read is taken out of it before anybody else can read. */
const buffer = Buffer.alloc(64 * 1024);

export class NetfilterSocket implements Disposable {
  readonly #fd: number;
  #sequence = 0;
  #sendBytesMax = usualBytesMax;

  /** Opens a socket in the thread's present namespace. */
  constructor() {
    this.#fd = rawSocket(socketFamilies.netlink, netfilterProtocol);
    // An answer is ready when send returns; the bound only guards against a kernel that never does.
    setReceiveTimeout(this.#fd, receiveTimeoutSeconds);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** Closes on another thread, since the kernel may take its time. */
  closeAside(): void {
    close(this.#fd, (error) => {
      if (error) throw error;
    });
  }

  /**
   * Puts all requests into effect at once. Throws SwarmError `internal` naming the first request
   * that the kernel refused; then none is in effect.
   */
  commit(requests: readonly Request[]): void {
    if (requests.length === 0) return;
    const first = this.#sequence + 1;
    this.#sequence += requests.length + 2;
    const bytes = batchOf(requests, first);
    if (bytes.length > this.#sendBytesMax) {
      this.#sendBytesMax = bytes.length * 2;
      setSendBuffer(this.#fd, this.#sendBytesMax);
    }
    send(this.#fd, bytes);
    this.#readAnswers(requests, first);
  }

  /** Only the last request is acknowledged; of the others the kernel says only what went wrong. */
  #readAnswers(requests: readonly Request[], first: number): void {
    let failure: SwarmError | undefined;
    for (;;) {
      for (const message of this.#receive()) {
        const at = message.sequence - first;
        if (message.type !== controlTypes.error || at < 0 || at > requests.length) continue;
        const code = -message.body.readInt32LE(0);
        if (code !== 0) failure ??= refused(requests[at - 1]?.what ?? 'take the batch', code);
        // The batch's own header stands for all of it: nothing more comes then.
        if (at === requests.length || at === 0) {
          if (failure !== undefined) throw failure;
          return;
        }
      }
    }
  }

  /** Sends one request that stands for itself, and waits for its acknowledgement. */
  run({ type, flags: extra, body, what, tolerated }: Request): void {
    const sequence = ++this.#sequence;
    send(this.#fd, writeMessage(type, flags.request | flags.ack | extra, sequence, body));
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence || message.type !== controlTypes.error) continue;
        const code = -message.body.readInt32LE(0);
        if (code === 0 || tolerated?.includes(code)) return;
        throw refused(what, code);
      }
    }
  }

  /** Bodies of the one answer to a request. */
  get({ type, body }: Request): Buffer {
    const sequence = ++this.#sequence;
    send(this.#fd, writeMessage(type, flags.request, sequence, body));
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue;
        if (message.type === controlTypes.error) {
          throw new SyscallError(`netfilter request ${type}`, -message.body.readInt32LE(0));
        }
        return Buffer.from(message.body);
      }
    }
  }

  /** All that the kernel has of a kind; nothing where what is asked about does not exist. */
  dump(request: Request): readonly Buffer[] {
    for (let attempt = 0; attempt < dumpAttemptsMax; attempt++) {
      const found = this.#dumpOnce(request);
      if (found !== undefined) return found;
    }
    throw new SwarmError('internal', `netfilter changes too fast to be read: ${request.what}`);
  }

  /** Undefined: something changed meanwhile, so that the answer is of no use. */
  #dumpOnce(request: Request): readonly Buffer[] | undefined {
    const sequence = ++this.#sequence;
    const dumpFlags = flags.request | flags.dump | request.flags;
    send(this.#fd, writeMessage(request.type, dumpFlags, sequence, request.body));
    const found: Buffer[] = [];
    let isWhole = true;
    for (;;) {
      for (const message of this.#receive()) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & interruptedFlag) !== 0) isWhole = false;
        if (message.type === controlTypes.done) return isWhole ? found : undefined;
        if (message.type === controlTypes.error) {
          const code = -message.body.readInt32LE(0);
          if (request.tolerated?.includes(code)) return [];
          throw new SyscallError(request.what, code);
        }
        found.push(Buffer.from(message.body));
      }
    }
  }

  /** Grows by one with each batch of anybody in this namespace. */
  generation(): number {
    const body = this.get({
      type: nftTypes.getGeneration,
      flags: 0,
      body: Buffer.alloc(4),
      what: 'ask for the generation',
    });
    return readAttributes(body.subarray(4)).get(generationAttributes.id)?.readUInt32BE(0) ?? 0;
  }

  #receive(): Iterable<Message> {
    return readMessages(buffer.subarray(0, receive(this.#fd, buffer)));
  }
}

function refused(what: string, code: number): SwarmError {
  const cause = new SyscallError(what, code);
  return new SwarmError('internal', `netfilter refused to ${cause.message}`, { cause });
}

/** One buffer: the requests are copied once. */
function batchOf(requests: readonly Request[], first: number): Buffer {
  const edge = headerBytes + 4;
  const length = requests.reduce((sum, { body }) => sum + aligned(headerBytes + body.length), 0);
  const bytes = Buffer.alloc(edge + length + edge);
  let at = writeEdge(bytes, 0, nftTypes.batchBegin, first);
  for (const [index, { type, flags: extra, body }] of requests.entries()) {
    const ack = index === requests.length - 1 ? flags.ack : 0;
    writeHeader(bytes, at, {
      length: headerBytes + body.length,
      type,
      flags: flags.request | ack | extra,
      sequence: first + 1 + index,
    });
    body.copy(bytes, at + headerBytes);
    at += aligned(headerBytes + body.length);
  }
  writeEdge(bytes, at, nftTypes.batchEnd, first + 1 + requests.length);
  return bytes;
}

function writeEdge(bytes: Buffer, at: number, type: number, sequence: number): number {
  const length = headerBytes + 4;
  writeHeader(bytes, at, { length, type, flags: flags.request, sequence });
  bytes.writeUInt16BE(nftSubsystem, at + headerBytes + 2);
  return at + length;
}

function writeHeader(
  bytes: Buffer,
  at: number,
  header: { length: number; type: number; flags: number; sequence: number },
): void {
  bytes.writeUInt32LE(header.length, at);
  bytes.writeUInt16LE(header.type, at + 4);
  bytes.writeUInt16LE(header.flags, at + 6);
  bytes.writeUInt32LE(header.sequence, at + 8);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
