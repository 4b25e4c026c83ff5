/** What links are written as: by people, and as variables of the containers that have them. */
import { SwarmError } from '../../lib/errors.ts';
import { parsePort } from './port-requests.ts';

/** What a container is told of another that it is linked to. */
interface LinkedTo {
  readonly alias: string;
  /** "/web/db": whose link it is, and what it is called there. */
  readonly path: string;
  /** Without prefix. */
  readonly address: string;
  /** "80/tcp" */
  readonly exposedPorts: readonly string[];
  readonly env: readonly string[];
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

/** Of every image, and so nothing that a container has to say of itself. */
const passedOver = new Set(['HOME', 'PATH']);
/** Fewer ports in a row are told of one by one only. */
const rangeMin = 3;

/** "db", "db:data", or "/db:/web/data" as `inspect` shows it. Throws `invalid-argument`. */
export function parseLink(text: string): { readonly name: string; readonly alias: string } {
  if (text === '') throw invalid('empty string specified for links');
  const [name = '', alias, more] = text.split(':');
  if (more !== undefined) throw invalid(`bad format for links: ${text}`);
  if (alias === undefined) return { name, alias: name };
  return name.startsWith('/') ? { name: name.slice(1), alias: baseName(alias) } : { name, alias };
}

/** What follows the last slash. */
export function baseName(alias: string): string {
  return alias.slice(alias.lastIndexOf('/') + 1);
}

/** DB_PORT_80_TCP_ADDR and the like, in Docker's order. */
export function linkEnv({ alias, path, address, exposedPorts, env }: LinkedTo): readonly string[] {
  const prefix = baseName(alias).toUpperCase().replaceAll('-', '_');
  const ports = exposedPorts.map(toPort).toSorted(byNumber);
  const url = ({ number, protocol }: Port) => `${protocol}://${address}:${number}`;
  const [first] = ports;
  const ofPorts = ports.flatMap((port) => {
    const of = nameOf(prefix, port);
    return [
      `${of}=${url(port)}`,
      `${of}_ADDR=${address}`,
      `${of}_PORT=${port.number}`,
      `${of}_PROTO=${port.protocol}`,
    ];
  });
  const ofRanges = ranges(ports).flatMap(([start, end]) => {
    const of = nameOf(prefix, start);
    return [
      `${of}_START=${url(start)}`,
      `${of}_PORT_START=${start.number}`,
      `${of}_END=${url(end)}`,
      `${of}_PORT_END=${end.number}`,
    ];
  });
  const ofEnv = env.flatMap((entry) => {
    const [name = ''] = entry.split('=', 1);
    return passedOver.has(name) || !entry.includes('=') ? [] : [`${prefix}_ENV_${entry}`];
  });
  return [
    ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
    ...ofRanges,
    ...ofPorts,
    `${prefix}_NAME=${path}`,
    ...ofEnv,
  ];
}

function nameOf(prefix: string, { number, protocol }: Port): string {
  return `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
}

/** The first and the last of each row of ports without a gap. */
function ranges(ports: readonly Port[]): readonly (readonly [Port, Port])[] {
  const rows: Port[][] = [];
  for (const port of ports) {
    const row = rows.at(-1);
    const last = row?.at(-1)?.number;
    if (row !== undefined && last !== undefined && port.number <= last + 1) row.push(port);
    else rows.push([port]);
  }
  return rows.flatMap((row) => {
    const [start, end] = [row[0], row.at(-1)];
    return start === undefined || end === undefined || row.length < rangeMin ? [] : [[start, end]];
  });
}

function toPort(text: string): Port {
  const { containerPort: number, protocol } = parsePort(text);
  return { number, protocol };
}

/** Of the same number TCP comes first. */
function byNumber(a: Port, b: Port): number {
  if (a.number !== b.number) return a.number - b.number;
  return Number(b.protocol === 'tcp') - Number(a.protocol === 'tcp');
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
