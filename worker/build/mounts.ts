/** What the steps of a Dockerfile ask the client for: files of the context, secrets, keys. Pure. */
import { SwarmError } from '../../lib/errors.ts';
import { flagsOf, instructionLines, unquoted } from './dockerfile.ts';

export interface ClientNeeds {
  /** Of the context, as patterns; undefined: all of it. */
  readonly paths: readonly string[] | undefined;
  /** By id; whether the step fails without it. */
  readonly secrets: ReadonlyMap<string, { readonly isRequired: boolean }>;
  /** The same of connections to an agent that holds keys. */
  readonly agents: ReadonlyMap<string, { readonly isRequired: boolean }>;
}

/** Throws `invalid-argument` for a mount that cannot be read. */
export function needsOf(text: string): ClientNeeds {
  const paths = new Set<string>();
  const secrets = new Map<string, { isRequired: boolean }>();
  const agents = new Map<string, { isRequired: boolean }>();
  let needsAll = false;
  const note = (path: string) => {
    const clean = path.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
    // A variable, or a way out and in again: only the build itself knows what that is.
    if (clean === '' || clean === '.' || /[$\\]|(^|\/)\.\.(\/|$)/.test(clean)) needsAll = true;
    else paths.add(clean);
  };
  for (const { text: line } of instructionLines(text)) {
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    const instruction = word.toUpperCase();
    if (instruction === 'COPY' || instruction === 'ADD') {
      const flags = flagsOf(instruction, rest);
      if (!/(^|\s)--from=/.test(flags)) sourcesOf(rest.slice(flags.length)).forEach(note);
    }
    if (instruction !== 'RUN') continue;
    for (const mount of mountsOf(rest)) {
      const { type, id, isRequired } = mount;
      if (type === 'bind' && !mount.isFromElsewhere) note(mount.source);
      const all = type === 'secret' ? secrets : agents;
      if (type !== 'secret' && type !== 'ssh') continue;
      if (!/^[\w.-]{1,128}$/.test(id)) {
        throw new SwarmError(
          'invalid-argument',
          `the id ${JSON.stringify(id)} of a ${type} mount is not made of letters, digits, "." and "-"`,
        );
      }
      all.set(id, { isRequired: isRequired || all.get(id)?.isRequired === true });
    }
  }
  return { paths: needsAll ? undefined : [...paths], secrets, agents };
}

interface Mount {
  readonly type: string;
  readonly id: string;
  readonly source: string;
  readonly isFromElsewhere: boolean;
  readonly isRequired: boolean;
}

/** Of a RUN: `--mount=type=…,…`. */
function mountsOf(rest: string): readonly Mount[] {
  const flags = flagsOf('RUN', rest).split(/\s+/);
  return flags
    .filter((flag) => flag.startsWith('--mount='))
    .map((flag) => {
      const pairs = flag
        .slice('--mount='.length)
        .split(',')
        .map((pair) => /^([^=]*)=?(.*)$/s.exec(unquoted(pair)) ?? []);
      const found = new Map(pairs.map(([, key = '', value = '']) => [key.toLowerCase(), value]));
      const type = found.get('type') ?? 'bind';
      const target = found.get('target') ?? found.get('dst') ?? found.get('destination') ?? '';
      const fallback = type === 'ssh' ? 'default' : (target.split('/').at(-1) ?? '');
      return {
        type,
        id: found.get('id') ?? fallback,
        source: found.get('source') ?? found.get('src') ?? '',
        isFromElsewhere: found.has('from'),
        isRequired: ['', 'true', '1'].includes(found.get('required') ?? 'false'),
      };
    });
}

/** Of a COPY or ADD: all but its target; addresses are no files. */
function sourcesOf(operands: string): readonly string[] {
  const words = operands.trimStart().startsWith('[')
    ? jsonWords(operands)
    : operands.split(/\s+/).filter((word) => word !== '');
  return words
    .slice(0, -1)
    .map(unquoted)
    .filter((word) => !/^(https?:\/\/|git@|git:\/\/|<<)/.test(word));
}

function jsonWords(text: string): readonly string[] {
  try {
    const words: unknown = JSON.parse(text);
    return Array.isArray(words) ? words.map(String) : ['', ''];
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    // What it means is for the build to say; it may need anything.
    return ['', ''];
  }
}
