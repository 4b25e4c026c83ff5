/**
 * DNS messages as bytes (RFC 1035, 6891). What others answered is passed on as it came: only its
 * identifier, its times to live and, where it is too long, its end are changed.
 */

export const headerBytes = 12;
/** What a client takes over UDP that does not say how much. */
export const plainUdpBytes = 512;
export const maxMessageBytes = 65_535;

export const rcodes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
} as const;

export const headerFlags = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const;
const opcodeBits = 0x7800;
const recordTypes = { soa: 6, opt: 41 } as const;
const sections = ['answer', 'authority', 'additional'] as const;

interface RecordPlace {
  readonly section: (typeof sections)[number];
  readonly type: number;
  readonly start: number;
  /** Where its time to live is, in seconds, four bytes. */
  readonly ttlAt: number;
  readonly end: number;
}

/** Where the parts of a message are. Throws RangeError for bytes that are not a whole message. */
interface Layout {
  readonly questionEnd: number;
  readonly records: readonly RecordPlace[];
}

export function layoutOf(message: Buffer): Layout {
  let at = headerBytes;
  for (let count = message.readUInt16BE(4); count > 0; count--) at = nameEnd(message, at) + 4;
  const questionEnd = within(message, at);
  const records: RecordPlace[] = [];
  for (const [index, section] of sections.entries()) {
    for (let count = message.readUInt16BE(6 + 2 * index); count > 0; count--) {
      const start = at;
      const fixed = nameEnd(message, at);
      at = within(message, fixed + 10 + message.readUInt16BE(fixed + 8));
      const type = message.readUInt16BE(fixed);
      records.push({ section, type, start, ttlAt: fixed + 4, end: at });
    }
  }
  return { questionEnd, records };
}

function idOf(message: Buffer): number {
  return message.readUInt16BE(0);
}

export function rcodeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

export function isResponse(message: Buffer): boolean {
  return (message.readUInt16BE(2) & headerFlags.response) !== 0;
}

export function isTruncated(message: Buffer): boolean {
  return (message.readUInt16BE(2) & headerFlags.truncated) !== 0;
}

export function isOrdinaryQuery(message: Buffer): boolean {
  return (message.readUInt16BE(2) & opcodeBits) === 0;
}

/** The header of `query` alone as an answer, with its question where it has a sound one. */
export function refusal(query: Buffer, rcode: number, questionEnd = headerBytes): Buffer {
  const message = Buffer.from(query.subarray(0, questionEnd));
  const kept = query.readUInt16BE(2) & (opcodeBits | headerFlags.recursionDesired);
  message.writeUInt16BE(headerFlags.response | headerFlags.recursionAvailable | kept | rcode, 2);
  message.writeUInt16BE(questionEnd > headerBytes ? 1 : 0, 4);
  message.fill(0, 6, headerBytes);
  return message;
}

/**
 * A message that fits, of as many whole answers as there is room for and with the mark that there
 * are more: a client that knows no TCP has some of them at least.
 */
export function fitting(message: Buffer, limit: number): Buffer {
  if (message.length <= limit) return message;
  const { questionEnd, records } = layoutOf(message);
  const opt = records.find(({ type }) => type === recordTypes.opt);
  const tail = opt === undefined ? Buffer.alloc(0) : message.subarray(opt.start, opt.end);
  let end = questionEnd;
  let answers = 0;
  for (const record of records) {
    if (record.section !== 'answer' || record.end + tail.length > limit) break;
    end = record.end;
    answers++;
  }
  const short = Buffer.concat([message.subarray(0, end), tail]);
  short.writeUInt16BE(message.readUInt16BE(2) | headerFlags.truncated, 2);
  short.writeUInt16BE(answers, 6);
  short.writeUInt16BE(0, 8);
  short.writeUInt16BE(tail.length > 0 ? 1 : 0, 10);
  return short;
}

/** How long others may be told the same, in seconds; 0: not at all. */
export function lifetimeSeconds(message: Buffer): number {
  const { records } = layoutOf(message);
  const timed = records.filter(({ type }) => type !== recordTypes.opt);
  const rcode = rcodeOf(message);
  if (isTruncated(message) || (rcode !== rcodes.noError && rcode !== rcodes.noSuchName)) return 0;
  const ttls = timed.map(({ ttlAt }) => message.readUInt32BE(ttlAt));
  const isPositive = rcode === rcodes.noError && timed.some(({ section }) => section === 'answer');
  if (isPositive) return Math.min(...ttls);
  // RFC 2308: the last field of the zone's SOA says how long "there is none" holds.
  const soa = timed.find(({ type }) => type === recordTypes.soa);
  return soa === undefined ? 0 : Math.min(...ttls, message.readUInt32BE(soa.end - 4));
}

/** A copy for one who asks `seconds` later than the first. */
export function aged(message: Buffer, seconds: number): Buffer {
  const copy = Buffer.from(message);
  for (const { type, ttlAt } of layoutOf(message).records) {
    if (type === recordTypes.opt) continue;
    copy.writeUInt32BE(Math.max(0, message.readUInt32BE(ttlAt) - seconds), ttlAt);
  }
  return copy;
}

/** A copy that answers `query`: its identifier, and its name in the case that it used. */
export function addressedTo(query: Buffer, questionEnd: number, answer: Buffer): Buffer {
  const copy = Buffer.from(answer);
  copy.writeUInt16BE(idOf(query), 0);
  query.copy(copy, headerBytes, headerBytes, questionEnd);
  return copy;
}

/** Whether `answer` belongs to `query`: the same identifier and the same question. */
export function answers(query: Buffer, questionEnd: number, answer: Buffer): boolean {
  if (answer.length < questionEnd || !isResponse(answer) || idOf(answer) !== idOf(query)) {
    return false;
  }
  const isSame = questionKey(answer, questionEnd) === questionKey(query, questionEnd);
  return answer.readUInt16BE(4) === 1 && isSame;
}

/** Some servers say that they will not answer, or did not understand, without repeating what. */
export function isBareFailure(query: Buffer, answer: Buffer): boolean {
  return (
    answer.length >= headerBytes &&
    isResponse(answer) &&
    idOf(answer) === idOf(query) &&
    answer.readUInt16BE(4) === 0 &&
    ![rcodes.noError, rcodes.noSuchName].some((rcode) => rcode === rcodeOf(answer))
  );
}

/** The question's bytes with its name in lower case; type and class are bytes and stay as such. */
export function questionKey(message: Buffer, questionEnd: number): string {
  const nameEndsAt = Math.max(headerBytes, questionEnd - 4);
  const name = message.toString('latin1', headerBytes, nameEndsAt).toLowerCase();
  return name + message.toString('latin1', nameEndsAt, questionEnd);
}

function nameEnd(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if ((length & 0xc0) === 0xc0) return at + 2;
    if (length > 63) throw new RangeError(`a label of ${length} bytes in a DNS message`);
    at += length + 1;
  }
}

function within(message: Buffer, end: number): number {
  if (end > message.length) throw new RangeError('a DNS message that ends too early');
  return end;
}
