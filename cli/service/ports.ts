/** Docker's --publish syntax, short (`8080:80/tcp`) and long (`published=8080,target=80`). */
import type { PortConfig } from '../../types/index.ts';
import { parseCsv, splitPair } from '../format/parse.ts';
import type { Draft } from './draft.ts';

const protocols = ['tcp', 'udp', 'sctp'] as const;
type Protocol = (typeof protocols)[number];

/** A range in the short syntax is several ports. Throws an Error that says what is wrong. */
export function parsePublish(text: string): readonly PortConfig[] {
  return /^\w+=/.test(text) ? [parseLong(text)] : parseShort(text);
}

export function portKey(port: PortConfig): string {
  return `${port.targetPort}/${port.protocol}/${port.publishedPort ?? 0}/${port.publishMode}`;
}

/** `--publish-rm 80` takes away every port with that target, `80/udp` and `8080:80` fewer. */
export function portMatches(port: PortConfig, text: string): boolean {
  return parseShort(text).some(
    (wanted) =>
      wanted.targetPort === port.targetPort &&
      wanted.protocol === port.protocol &&
      (wanted.publishedPort === undefined || wanted.publishedPort === port.publishedPort),
  );
}

function parseLong(text: string): PortConfig {
  const port: Draft<PortConfig> = { protocol: 'tcp', targetPort: 0, publishMode: 'ingress' };
  for (const field of parseCsv(text)) {
    const [written, value] = splitPair(field);
    if (value === undefined || value === '') throw new Error(`invalid field: ${field}`);
    switch (written.toLowerCase()) {
      case 'protocol':
        port.protocol = protocolOf(value.toLowerCase());
        break;
      case 'mode':
        if (value !== 'ingress' && value !== 'host') {
          throw new Error(
            `invalid publish mode value (${value}): must be either 'ingress' or 'host'`,
          );
        }
        port.publishMode = value;
        break;
      case 'target':
        port.targetPort = portNumber(value, 'target');
        break;
      case 'published':
        port.publishedPort = portNumber(value, 'published');
        break;
      default:
        throw new Error(`invalid field key: ${written}`);
    }
  }
  if (port.targetPort === 0) throw new Error('missing mandatory field "target"');
  return port;
}

function parseShort(text: string): readonly PortConfig[] {
  const [ports, protocolWord = 'tcp'] = text.split('/', 2) as [string, string?];
  const protocol = protocolOf(protocolWord.toLowerCase());
  const parts = ports.split(':');
  const targetText = parts.pop() ?? '';
  const publishedText = parts.pop() ?? '';
  if (parts.length > 0) {
    throw new Error(
      'hostip is not supported: a published port is opened on all addresses of a node',
    );
  }
  const targets = portRange(targetText, 'containerPort');
  const published = publishedText === '' ? [] : portRange(publishedText, 'hostPort');
  if (published.length > 0 && published.length !== targets.length) {
    throw new Error(
      `invalid ranges specified for container and host Ports: ${targetText} and ${publishedText}`,
    );
  }
  return targets.map((targetPort, index) => ({
    protocol,
    targetPort,
    publishMode: 'ingress',
    ...(published[index] === undefined ? {} : { publishedPort: published[index] }),
  }));
}

function protocolOf(word: string): Protocol {
  const found = protocols.find((protocol) => protocol === word);
  if (found === undefined) throw new Error(`invalid proto: ${word}`);
  return found;
}

function portRange(text: string, what: string): number[] {
  const [first = '', last = first] = text.split('-', 2);
  const from = portNumber(first, what);
  const to = portNumber(last, what);
  if (to < from) throw new Error(`invalid ${what}: ${text}`);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function portNumber(text: string, what: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new Error(`invalid ${what}: ${text}`);
  return port;
}
