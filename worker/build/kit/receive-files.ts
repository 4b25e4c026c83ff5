/** Takes a folder from the client of a build, by the packets of its FileSync service. */
import {
  chmod,
  link,
  lutimes,
  mkdir,
  open,
  symlink,
  utimes,
  type FileHandle,
} from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { SwarmError } from '../../../lib/errors.ts';
import {
  Packet_PacketType as Type,
  PacketSchema,
  type Packet,
} from '../../../gen/buildkit/fsutil_pb.js';
import type { Call } from './channel.ts';
import { FileEntries, tooLarge, type FileEntry, type FileLimits } from './file-entries.ts';

/** Files that are on their way at the same time. */
const maxOpen = 32;

/** A call of FileSync. */
export type PacketCall = Pick<Call, 'messages' | 'send' | 'end' | 'cancel'>;

interface OpenFile {
  readonly entry: FileEntry;
  readonly handle: FileHandle;
}

interface Options {
  readonly limits: FileLimits;
  /** Bytes that have come so far. */
  readonly onProgress: (bytes: number) => void;
  /** What is neither file, folder nor link, and is left out. */
  readonly onLeftOut: (path: string) => void;
}

/**
 * Everything goes into an empty folder that nobody else writes to, and is the daemon's own: owners
 * and extended attributes are left to the client. Throws `invalid-argument` for what is no honest
 * folder, and what the client ends the call with.
 */
export async function receiveFiles(
  call: PacketCall,
  folder: string,
  options: Options,
): Promise<void> {
  const receiver = new Receiver(call, folder, options);
  try {
    for await (const message of call.messages()) {
      await receiver.take(fromBinary(PacketSchema, message));
    }
    receiver.checkWhole();
  } finally {
    call.cancel();
    await receiver.closeAll();
  }
  await receiver.dateFolders();
}

class Receiver {
  readonly #call: PacketCall;
  readonly #folder: string;
  readonly #options: Options;
  readonly #entries: FileEntries;
  readonly #folders: FileEntry[] = [];
  /** Files whose contents have not been asked for yet, by number. */
  readonly #waiting = new Map<number, FileEntry>();
  readonly #open = new Map<number, OpenFile>();
  #count = 0;
  #bytes = 0;
  #isListed = false;
  #isOver = false;

  constructor(call: PacketCall, folder: string, options: Options) {
    this.#call = call;
    this.#folder = folder;
    this.#options = options;
    this.#entries = new FileEntries(options.limits);
  }

  async take(packet: Packet): Promise<void> {
    switch (packet.type) {
      case Type.PACKET_STAT:
        await this.#list(packet);
        break;
      case Type.PACKET_DATA:
        await this.#write(packet);
        break;
      case Type.PACKET_FIN:
        if (!this.#isOver) throw broken('ended before all files were there');
        this.#call.end();
        break;
      case Type.PACKET_ERR:
        throw broken(Buffer.from(packet.data).toString('utf8'));
      default:
        throw broken('asked for files');
    }
  }

  checkWhole(): void {
    if (!this.#isOver) throw broken('ended before all files were there');
  }

  async closeAll(): Promise<void> {
    for (const { handle } of this.#open.values()) await handle.close();
    this.#open.clear();
  }

  /** Last of all: each file that is put into a folder changes its time. */
  async dateFolders(): Promise<void> {
    for (const { path, modTimeSec } of this.#folders.toReversed()) {
      await utimes(join(this.#folder, path), modTimeSec, modTimeSec);
    }
  }

  async #list({ stat }: Packet): Promise<void> {
    if (this.#isListed) throw broken('sent a file after the last one');
    if (stat === undefined) {
      this.#isListed = true;
      await this.#askOn();
      return;
    }
    const entry = this.#entries.add(stat);
    const number = this.#count++;
    const path = join(this.#folder, entry.path);
    const { modTimeSec } = entry;
    switch (entry.kind) {
      case 'folder':
        await mkdir(path, { mode: entry.permissions });
        // The mode of a new folder is without what this process leaves away of its own accord.
        await chmod(path, entry.permissions);
        this.#folders.push(entry);
        break;
      case 'symlink':
        await symlink(entry.target, path);
        await lutimes(path, modTimeSec, modTimeSec);
        break;
      case 'hard-link':
        await link(join(this.#folder, entry.target), path);
        break;
      case 'other':
        this.#options.onLeftOut(entry.path);
        break;
      case 'file':
        // Made at once: others may be links to it.
        await (await open(path, 'wx', 0o600)).close();
        this.#waiting.set(number, entry);
        await this.#askOn();
        break;
    }
  }

  /** Asks for as many files as may be open, and says so once all are there. */
  async #askOn(): Promise<void> {
    for (const [number, entry] of this.#waiting) {
      if (this.#open.size >= maxOpen) return;
      this.#waiting.delete(number);
      const handle = await open(join(this.#folder, entry.path), 'r+');
      this.#open.set(number, { entry, handle });
      await this.#send({ type: Type.PACKET_REQ, ID: number });
    }
    if (!this.#isListed || this.#open.size > 0 || this.#isOver) return;
    this.#isOver = true;
    await this.#send({ type: Type.PACKET_FIN });
  }

  async #write({ ID: number, data }: Packet): Promise<void> {
    const file = this.#open.get(number);
    if (file === undefined) throw broken('sent a file that it was not asked for');
    const { entry, handle } = file;
    if (data.length > 0) {
      this.#bytes += data.length;
      if (this.#bytes > this.#options.limits.maxBytes) throw tooLarge(this.#options.limits);
      await handle.writeFile(data);
      this.#options.onProgress(this.#bytes);
      return;
    }
    await handle.chmod(entry.permissions);
    await handle.utimes(entry.modTimeSec, entry.modTimeSec);
    this.#open.delete(number);
    await handle.close();
    await this.#askOn();
  }

  #send(packet: { readonly type: Type; readonly ID?: number }): Promise<void> {
    return this.#call.send(toBinary(PacketSchema, create(PacketSchema, packet)));
  }
}

function broken(what: string): SwarmError {
  return new SwarmError('invalid-argument', `the files of the build cannot be read: ${what}`);
}
