/** The short forms of ports and volumes, as the long forms that they stand for. */
import { mappingOf, type Mapping, type Scalar } from './node.ts';
import type { Problems } from './problems.ts';

const portPattern =
  /^(?:(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(\d*(?:-\d+)?):)?(\d+(?:-\d+)?)(?:\/(\w+))?$/;
const maxPortRange = 1000;

/** `8080:80/udp`, `127.0.0.1:5000-5010:5000-5010`: a mapping for each port of a range. */
export function longPorts(node: Scalar, problems: Problems): readonly Mapping[] {
  const text = String(node.value);
  const match = portPattern.exec(text);
  if (match === null) {
    problems.add(node.at, `invalid port "${text}": write [ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL]`);
    return [];
  }
  const [, address, publishedText = '', targetText = '', protocol = 'tcp'] = match;
  const targets = rangeOf(targetText);
  const published = publishedText === '' ? [] : rangeOf(publishedText);
  if (targets.length === 0 || targets.length > maxPortRange) {
    problems.add(node.at, `invalid port "${text}": ${targetText} is no range of ports`);
    return [];
  }
  if (published.length > 0 && published.length !== targets.length) {
    problems.add(
      node.at,
      `invalid port "${text}": ${publishedText} and ${targetText} are not of one length`,
    );
    return [];
  }
  return targets.map((target, index) =>
    mappingOf(
      {
        mode: 'ingress',
        host_ip: address?.replace(/^\[|\]$/g, ''),
        target,
        published: published[index] === undefined ? undefined : String(published[index]),
        protocol: protocol.toLowerCase(),
      },
      node.at,
    ),
  );
}

function rangeOf(text: string): number[] {
  const [first = '', last = first] = text.split('-', 2);
  const from = Number(first);
  const to = Number(last);
  if (first === '' || last === '' || to < from || to - from > maxPortRange) return [];
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Words after the second colon that say how a bind mount passes on what is mounted below it. */
const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

interface VolumeContext {
  readonly problems: Problems;
  /** Makes a relative path absolute. */
  readonly resolve: (path: string) => string;
}

/** `data:/var/lib/data`, `./conf:/etc/conf:ro`, `/cache`. */
export function longVolume(node: Scalar, { problems, resolve }: VolumeContext): Mapping {
  const text = String(node.value);
  const parts = text.split(':');
  const [first = '', second, options] = parts;
  if (parts.length > 3 || first === '' || second === '') {
    problems.add(node.at, `invalid volume "${text}": write [SOURCE:]TARGET[:OPTIONS]`);
  }
  if (second === undefined) return mappingOf({ type: 'volume', target: first }, node.at);
  const isPath = /^[./~]/.test(first);
  const mount = mountOptions(node, options, isPath, problems);
  return mappingOf(
    {
      type: isPath ? 'bind' : 'volume',
      source: isPath ? resolve(first) : first,
      target: second,
      ...mount,
    },
    node.at,
  );
}

function mountOptions(
  { at, value }: Scalar,
  text: string | undefined,
  isBind: boolean,
  problems: Problems,
): Readonly<Record<string, boolean | string | Mapping>> {
  const bind: Record<string, string | boolean> = { create_host_path: true };
  const result: Record<string, boolean | string | Mapping> = {};
  for (const word of text === undefined || text === '' ? [] : text.split(',')) {
    if (word === 'ro' || word === 'rw') result['read_only'] = word === 'ro';
    else if (['cached', 'delegated', 'consistent'].includes(word)) result['consistency'] = word;
    else if (isBind && propagations.includes(word)) bind['propagation'] = word;
    else if (isBind && (word === 'z' || word === 'Z')) bind['selinux'] = word;
    else if (!isBind && word === 'nocopy') result['volume'] = mappingOf({ nocopy: true }, at);
    else if (isBind && word === 'nocopy') continue;
    else problems.add(at, `invalid volume "${String(value)}": the option "${word}" is not known`);
  }
  if (isBind) result['bind'] = mappingOf(bind, at);
  return result;
}
