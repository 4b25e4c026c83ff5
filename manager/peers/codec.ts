/** Raft's messages as they travel between managers. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RaftMessage, RaftMessageSchema } from '../../gen/raft_pb.js';
import { SwarmError } from '../../lib/errors.ts';
import type { Entry, Message } from '../../raft/index.ts';

type Wire = MessageInitShape<typeof RaftMessageSchema>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeMessage(message: Message): Wire {
  if (message.type === 'append') {
    const { entries, ...header } = message;
    return {
      header: encoder.encode(JSON.stringify(header)),
      entries: entries.map(({ term, kind, data }) => ({
        config: kind === 'config',
        ...(term === message.term ? {} : { term: BigInt(term) }),
        data,
      })),
    };
  }
  if (message.type === 'forward') {
    const { data, ...header } = message;
    return { header: encoder.encode(JSON.stringify(header)), data };
  }
  return { header: encoder.encode(JSON.stringify(message)) };
}

/** Throws SwarmError `invalid-argument` for what is not a message. */
export function decodeMessage(wire: RaftMessage): Message {
  const header = parse(wire.header);
  if (header.type === 'append') {
    return { ...header, entries: wire.entries.map((entry, at) => decodeEntry(entry, at, header)) };
  }
  return header.type === 'forward' ? { ...header, data: wire.data } : header;
}

function decodeEntry(
  { config, term, data }: RaftMessage['entries'][number],
  at: number,
  header: { prevIndex: number; term: number },
): Entry {
  return {
    index: header.prevIndex + 1 + at,
    term: term === 0n ? header.term : Number(term),
    kind: config ? 'config' : 'normal',
    data,
  };
}

function parse(header: Uint8Array): Message {
  try {
    return JSON.parse(decoder.decode(header)) as Message;
  } catch (error) {
    throw new SwarmError('invalid-argument', 'a manager sent what is not a raft message', {
      cause: error,
    });
  }
}
