/** From a client's bytes to the answer's: reads the question, and puts answers into bytes. */
import packet, { type Packet } from 'dns-packet';
import type { Answer, Question } from './answer.ts';
import {
  fitting,
  headerBytes,
  headerFlags,
  isOrdinaryQuery,
  isResponse,
  layoutOf,
  maxMessageBytes,
  plainUdpBytes,
  rcodes,
  refusal,
} from './wire.ts';

/** What is taken by a client over UDP, at the most, whatever it says; the loopback carries it. */
const udpBytesMax = 8192;
const ownUdpBytes = 4096;
/** Of the Internet, and of any. Others ask about a server itself, or about what is long gone. */
const classes: readonly number[] = [1, 255];
/** Type and class. */
const questionTailBytes = 4;
const nameBytesMax = 255;

export interface Asked {
  readonly query: Buffer;
  /** Where the question ends in `query`. */
  readonly questionEnd: number;
  readonly question: Question;
  /** The longest answer that may go back. */
  readonly limit: number;
  readonly hasEdns: boolean;
}

/** What was asked, or at once the answer to what is no question; undefined: say nothing. */
export function readQuestion(query: Buffer, way: 'udp' | 'tcp'): Asked | Buffer | undefined {
  // An answer to an answer could go on for ever.
  if (query.length < headerBytes || isResponse(query)) return undefined;
  if (!isOrdinaryQuery(query)) return refusal(query, rcodes.notImplemented);
  if (!isSmall(query)) return refusal(query, rcodes.formatError);
  try {
    const { questionEnd } = layoutOf(query);
    if (!isPlainName(query, questionEnd)) return refusal(query, rcodes.formatError);
    if (!classes.includes(query.readUInt16BE(questionEnd - 2))) {
      return refusal(query, rcodes.notImplemented, questionEnd);
    }
    const { questions = [], additionals = [] } = packet.decode(query);
    const [question] = questions;
    if (question === undefined) return refusal(query, rcodes.formatError);
    const edns = additionals.find((record) => record.type === 'OPT');
    const udpLimit = Math.min(udpBytesMax, Math.max(plainUdpBytes, edns?.udpPayloadSize ?? 0));
    return {
      query,
      questionEnd,
      question: { name: question.name, type: question.type },
      limit: way === 'tcp' ? maxMessageBytes : udpLimit,
      hasEdns: edns !== undefined,
    };
  } catch {
    return refusal(query, rcodes.formatError);
  }
}

/** At the most 255 bytes, and none of them somewhere else: nothing stands before the question. */
function isPlainName(query: Buffer, questionEnd: number): boolean {
  const end = questionEnd - questionTailBytes;
  if (end - headerBytes > nameBytesMax) return false;
  let at = headerBytes;
  while (at < end - 1) at += 1 + query.readUInt8(at);
  return at === end - 1 && query.readUInt8(at) === 0;
}

/** One question, and what EDNS and a signature add: to read thousands of records costs time. */
function isSmall(query: Buffer): boolean {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) =>
    query.readUInt16BE(at),
  );
  return questions === 1 && answers === 0 && authorities === 0 && (additionals ?? 0) <= 2;
}

export function writeAnswer(asked: Asked, answer: Answer): Buffer {
  const { query, questionEnd, limit, hasEdns } = asked;
  const opt = { type: 'OPT', name: '.', udpPayloadSize: ownUdpBytes, flags: 0, options: [] };
  const body = packet.encode({
    type: 'response',
    id: query.readUInt16BE(0),
    flags:
      headerFlags.authoritative |
      headerFlags.recursionAvailable |
      (query.readUInt16BE(2) & headerFlags.recursionDesired) |
      (answer.isKnown ? rcodes.noError : rcodes.noSuchName),
    answers: [...answer.answers],
    additionals: [...answer.additionals, ...(hasEdns ? [opt] : [])],
  } as Packet);
  // The question goes back byte for byte: some clients hide a check in the case of its letters.
  const message = Buffer.concat([
    body.subarray(0, headerBytes),
    query.subarray(headerBytes, questionEnd),
    body.subarray(headerBytes),
  ]);
  message.writeUInt16BE(1, 4);
  return fitting(message, limit);
}
