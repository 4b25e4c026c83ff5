/** What clients ask of a build, in the words of POST /build. */
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { integer, list, required, string, struct, type Codec } from '../../types/index.ts';
import type { BuildRequest, Ulimit } from '../../worker/build/index.ts';
import { formatPlatform, normalizePlatform, parsePlatform } from '../../worker/image/platform.ts';
import { canonicalString, parseReference, withDefaultTag } from '../../worker/image/reference.ts';
import type { Exchange } from '../exchange.ts';

const noOutputs = 'the result of a build is an image of this node: leave out --output';

export function readBuildRequest(exchange: Exchange): BuildRequest {
  const { query } = exchange;
  refuseWhatIsNot(exchange);
  const text = (name: string) => query.get(name) ?? '';
  return {
    tags: query
      .getAll('t')
      .filter((tag) => tag !== '')
      .map(tagOf),
    remote: text('remote') === 'client-session' ? '' : text('remote'),
    dockerfile: text('dockerfile') === '' ? 'Dockerfile' : text('dockerfile'),
    buildArgs: readRecord(exchange, 'buildargs'),
    labels: readRecord(exchange, 'labels'),
    target: text('target'),
    noCache: exchange.flag('nocache'),
    pull: exchange.flag('pull'),
    squash: exchange.flag('squash'),
    networkMode: text('networkmode'),
    extraHosts: query.getAll('extrahosts').flatMap((text) => hostsOf(text, exchange)),
    ulimits: readUlimits(exchange),
    memoryBytes: numberOf(exchange, 'memory'),
    memorySwapBytes: numberOf(exchange, 'memswap'),
    cpuShares: numberOf(exchange, 'cpushares'),
    cpuPeriodUs: numberOf(exchange, 'cpuperiod'),
    cpuQuotaUs: numberOf(exchange, 'cpuquota'),
    shmBytes: numberOf(exchange, 'shmsize'),
    cpusetCpus: text('cpusetcpus'),
    cpusetMems: text('cpusetmems'),
    cgroupParent: text('cgroupparent'),
  };
}

function refuseWhatIsNot(exchange: Exchange): void {
  const text = (name: string) => exchange.query.get(name) ?? '';
  const refusals: readonly (readonly [boolean, string])[] = [
    [!['', '[]', 'null'].includes(text('outputs')), noOutputs],
    [
      !['', '[]', 'null'].includes(text('securityopt')),
      'the daemon on this platform does not support setting security options on build',
    ],
    [
      !['', 'default'].includes(text('isolation')),
      'there is no isolation to choose here but default',
    ],
    [!isOwnPlatform(text('platform')), "images are built for this node's own platform alone"],
  ];
  const refusal = refusals.find(([applies]) => applies);
  if (refusal !== undefined) throw new SwarmError('unimplemented', refusal[1]);
}

function isOwnPlatform(text: string): boolean {
  if (text === '') return true;
  const host = normalizePlatform({ os: process.platform, architecture: process.arch });
  return formatPlatform(parsePlatform(text, host)) === formatPlatform(host);
}

/** Hints that change nothing of the result, and that this builder has no use for. */
export function warningsOf(exchange: Exchange): readonly string[] {
  const cacheFrom = exchange.query.get('cachefrom') ?? '';
  if (['', '[]', 'null'].includes(cacheFrom)) return [];
  return ['cache-from is not used: the cache is what was built on this node before'];
}

function tagOf(text: string): string {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest === undefined) return canonicalString(reference);
  throw new SwarmError('invalid-argument', 'invalid tag: a digest cannot be given to a build');
}

/** Docker's client repeats the parameter; others send a list in one, as JSON or with commas. */
function hostsOf(text: string, exchange: Exchange): readonly string[] {
  if (text.startsWith('[')) return readJson(exchange, 'extrahosts', list(string));
  return text.split(',').filter((entry) => entry !== '');
}

function readUlimits(exchange: Exchange): readonly Ulimit[] {
  const codec = list(
    struct({
      name: required('Name', string, ''),
      soft: required('Soft', integer, 0),
      hard: required('Hard', integer, 0),
    }),
  );
  return readJson(exchange, 'ulimits', codec);
}

export function numberOf(exchange: Exchange, name: string): number {
  const text = exchange.query.get(name) ?? '';
  if (text === '') return 0;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new SwarmError('invalid-argument', `invalid value for ${name}: ${JSON.stringify(text)}`);
}

/** A record of texts; a value of null, which Docker's CLI sends for what is not set, is left out. */
function readRecord(exchange: Exchange, name: string): Record<string, string> {
  const document: unknown = parse(exchange, name, '{}') ?? {};
  const entries = Object.entries(document as Record<string, unknown>);
  const wrong = entries.find(([, value]) => value !== null && typeof value !== 'string');
  if (typeof document !== 'object' || Array.isArray(document) || wrong !== undefined) {
    throw new SwarmError('invalid-argument', `invalid value for ${name}: not an object of texts`);
  }
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

function readJson<T>(exchange: Exchange, name: string, codec: Codec<T>): T {
  try {
    return codec.decode(parse(exchange, name, '[]') ?? [], '');
  } catch (cause) {
    throw new SwarmError('invalid-argument', `invalid value for ${name}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function parse(exchange: Exchange, name: string, otherwise: string): unknown {
  const text = exchange.query.get(name) ?? '';
  try {
    return JSON.parse(text === '' ? otherwise : text);
  } catch (cause) {
    throw new SwarmError('invalid-argument', `invalid value for ${name}: not JSON`, { cause });
  }
}
