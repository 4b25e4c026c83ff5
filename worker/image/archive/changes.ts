/** `--change`: Dockerfile instructions that alter an image's configuration. Pure. */
import { SwarmError } from '../../../lib/errors.ts';
import { posix } from 'node:path';

/** The `config` member of an image's configuration, in Docker's names. */
export interface RuntimeConfig {
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Env?: readonly string[];
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Healthcheck?: HealthcheckConfig;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly OnBuild?: readonly string[];
  readonly StopSignal?: string;
  readonly User?: string;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly WorkingDir?: string;
}

interface HealthcheckConfig {
  readonly Test: readonly string[];
  /** Nanoseconds. */
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

type Instruction = (config: RuntimeConfig, rest: string) => RuntimeConfig;

const instructions: Readonly<Record<string, Instruction>> = {
  CMD: (config, rest) => ({ ...config, Cmd: command(rest) }),
  ENTRYPOINT: (config, rest) => ({ ...config, Entrypoint: command(rest) }),
  ENV: (config, rest) => ({ ...config, Env: withEnv(config.Env ?? [], pairs('ENV', rest)) }),
  EXPOSE: (config, rest) => ({
    ...config,
    ExposedPorts: { ...config.ExposedPorts, ...set(words(rest).flatMap(ports)) },
  }),
  HEALTHCHECK: (config, rest) => ({ ...config, Healthcheck: healthcheck(rest) }),
  LABEL: (config, rest) => ({
    ...config,
    Labels: { ...config.Labels, ...Object.fromEntries(pairs('LABEL', rest)) },
  }),
  ONBUILD: (config, rest) => ({ ...config, OnBuild: [...(config.OnBuild ?? []), rest] }),
  STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: oneWord('STOPSIGNAL', rest) }),
  USER: (config, rest) => ({ ...config, User: oneWord('USER', rest) }),
  VOLUME: (config, rest) => ({
    ...config,
    Volumes: { ...config.Volumes, ...set(jsonList(rest) ?? words(rest)) },
  }),
  WORKDIR: (config, rest) => ({
    ...config,
    WorkingDir: posix.resolve(config.WorkingDir ?? '/', unquoted(rest)),
  }),
};

/** Throws `invalid-argument` for what is no such instruction, or an incomplete one. */
export function applyChanges(config: RuntimeConfig, changes: readonly string[]): RuntimeConfig {
  let changed = config;
  // One change may hold several lines, as in a Dockerfile.
  for (const line of changes.flatMap((change) => change.split('\n'))) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
    const instruction = instructions[name.toUpperCase()];
    if (instruction === undefined) {
      const known = Object.keys(instructions).join(', ');
      throw invalid(`${name} is not a valid change command; these are: ${known}`);
    }
    if (rest === '') throw invalid(`${name.toUpperCase()} requires at least one argument`);
    changed = instruction(changed, rest);
  }
  return changed;
}

/** The exec form, a JSON list; or the shell form, anything else. */
function command(rest: string): readonly string[] {
  return jsonList(rest) ?? ['/bin/sh', '-c', rest];
}

function jsonList(rest: string): readonly string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(rest);
    const isList = Array.isArray(list) && list.every((word) => typeof word === 'string');
    return isList ? list : undefined;
  } catch (thrown) {
    // As in a Dockerfile: what looks like a list but is no JSON is a command for the shell.
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/** `A=1 B="two words"`, or the old `A everything else`. */
function pairs(name: string, rest: string): readonly (readonly [string, string])[] {
  const list = words(rest, true);
  const [first = ''] = list;
  if (!first.includes('=')) {
    const [, key = '', value = ''] = /^(\S+)\s+(.*)$/s.exec(rest) ?? [];
    if (key === '') throw invalid(`${name} must have two arguments, or the form NAME=VALUE`);
    return [[unquoted(key), unquoted(value)]];
  }
  return list.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 1)
      throw invalid(`syntax error in ${name}: ${JSON.stringify(word)} is no NAME=VALUE`);
    return [unquoted(word.slice(0, equals)), unquoted(word.slice(equals + 1))];
  });
}

function withEnv(
  env: readonly string[],
  added: readonly (readonly [string, string])[],
): readonly string[] {
  const merged = new Map(
    env.map((entry) => {
      const equals = entry.indexOf('=');
      return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
  for (const [name, value] of added) merged.set(name, value);
  return [...merged].map(([name, value]) => `${name}=${value}`);
}

/** "80", "53/udp", "8000-8002/tcp". */
function ports(word: string): readonly string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word);
  const [, from = '', to = from, protocol = 'tcp'] = match ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (match === null || first < 1 || last > 65_535 || first > last) {
    throw invalid(`invalid containerPort: ${word}; give PORT or PORT/PROTOCOL`);
  }
  return Array.from(
    { length: last - first + 1 },
    (_, index) => `${first + index}/${protocol.toLowerCase()}`,
  );
}

const durationFlags: Readonly<Record<string, keyof HealthcheckConfig>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
};

function healthcheck(rest: string): HealthcheckConfig {
  let text = rest;
  const options: Record<string, number> = {};
  for (;;) {
    const match = /^--([a-z-]+)=(\S+)\s+/.exec(text);
    if (match === null) break;
    const [whole, flag = '', value = ''] = match;
    const duration = durationFlags[flag];
    if (duration !== undefined) options[duration] = durationNs(flag, value);
    else if (flag === 'retries' && /^[1-9]\d{0,8}$/.test(value)) options['Retries'] = Number(value);
    else throw invalid(`HEALTHCHECK: ${JSON.stringify(whole.trim())} is no flag of it`);
    text = text.slice(whole.length);
  }
  const [, kind = '', argument = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  if (kind.toUpperCase() === 'NONE' && argument === '') return { Test: ['NONE'] };
  if (kind.toUpperCase() !== 'CMD' || argument === '') {
    throw invalid(`unknown type ${JSON.stringify(kind)} in HEALTHCHECK; give CMD or NONE`);
  }
  const list = jsonList(argument);
  const test = list === undefined ? ['CMD-SHELL', argument] : ['CMD', ...list];
  return { Test: test, ...options };
}

const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's spelling: "1m30s", "500ms", "1.5h". */
function durationNs(flag: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.map(([part]) => part).join('') !== text || parts.length === 0) {
    throw invalid(`HEALTHCHECK: ${JSON.stringify(text)} is no duration for --${flag}, like 30s`);
  }
  return Math.round(
    parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitNs[unit ?? ''] ?? 0), 0),
  );
}

function oneWord(name: string, rest: string): string {
  const list = words(rest);
  const [word] = list;
  if (word === undefined || list.length > 1) throw invalid(`${name} requires exactly one argument`);
  return word;
}

/** Splits at blanks outside quotes. `raw` keeps quotes and backslashes for the caller to read. */
function words(text: string, raw = false): readonly string[] {
  const found = text.match(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s\\"'])+/gs) ?? [];
  return raw ? found : found.map(unquoted);
}

function unquoted(text: string): string {
  return text.replace(
    /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs,
    (_, double?: string, single?: string, escaped?: string) =>
      double === undefined ? (single ?? escaped ?? '') : double.replace(/\\(["\\$])/g, '$1'),
  );
}

function set(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
