/** Log lines as Docker streams them: one stream for a terminal, frames for everything else. */
import type { Task } from '../../types/index.ts';
import type { LogLine } from '../../worker/runtime/runtime.ts';
import { fixedTimeText } from './time.ts';

export interface LogStyle {
  readonly timestamps: boolean;
  readonly details: boolean;
  /** A terminal's output is sent as it is: it has no standard error of its own. */
  readonly framed: boolean;
}

const streams = { stdout: 1, stderr: 2, system: 3 } as const;
const headerLength = 8;

export function logFrame(task: Task, line: LogLine, style: LogStyle): Uint8Array {
  const prefix =
    (style.timestamps ? `${fixedTimeText(line.timeNs)} ` : '') +
    (style.details ? `${detailsOf(task)} ` : '');
  return framed(streams[line.stream], prefix, line.data, style.framed);
}

/** Of a container that belongs to no service. */
export function containerLogFrame(line: LogLine, style: LogStyle): Uint8Array {
  const time = style.timestamps ? `${fixedTimeText(line.timeNs)} ` : '';
  const details = style.details ? `${attributesText(line)} ` : '';
  return framed(streams[line.stream], `${time}${details}`, line.data, style.framed);
}

/** Sorted by key and escaped, as Docker has it. */
function attributesText({ attributes = {} }: LogLine): string {
  return Object.entries(attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${queryText(key)}=${queryText(value)}`)
    .join(',');
}

function queryText(text: string): string {
  return new URLSearchParams([[text, '']]).toString().slice(0, -1).replaceAll('*', '%2A');
}

/** Output as it comes. */
export function outputFrame(
  stream: 'stdout' | 'stderr',
  data: Uint8Array,
  isFramed: boolean,
): Uint8Array {
  return isFramed ? framed(streams[stream], '', data, true) : data;
}

/** An ordinary line on standard error, which belongs to no task. */
export function noticeLine(text: string, style: LogStyle): Uint8Array {
  return framed(streams.stderr, `${text}\n`, new Uint8Array(), style.framed);
}

/** Docker's clients end with this as their error. */
export function errorFrame(text: string, style: LogStyle): Uint8Array {
  return framed(streams.system, `${text}\n`, new Uint8Array(), style.framed);
}

/** Where a line comes from, sorted by key and escaped, as Docker's CLI expects it. */
function detailsOf(task: Task): string {
  return [
    `com.docker.swarm.node.id=${task.nodeId}`,
    `com.docker.swarm.service.id=${task.serviceId}`,
    `com.docker.swarm.task.id=${task.id}`,
  ].join(',');
}

/** A byte for the stream, three of padding, the length in four, then the text. */
function framed(stream: number, prefix: string, data: Uint8Array, isFramed: boolean): Uint8Array {
  const text = new TextEncoder().encode(prefix);
  const header = isFramed ? headerLength : 0;
  const frame = new Uint8Array(header + text.length + data.length);
  if (isFramed) {
    frame[0] = stream;
    new DataView(frame.buffer).setUint32(4, text.length + data.length);
  }
  frame.set(text, header);
  frame.set(data, header + text.length);
  return frame;
}
