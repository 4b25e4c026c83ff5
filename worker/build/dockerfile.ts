/** What a Dockerfile builds on: the images that must be there before the build begins. Pure. */
import { SwarmError } from '../../lib/errors.ts';
import { own } from '../../lib/own.ts';

interface DockerfilePlan {
  /** Names of images as the Dockerfile has them, variables filled in; each once. */
  readonly images: readonly string[];
  /**
   * Whether an instruction other than RUN depends on a build argument that was given. buildah's
   * cache compares such instructions as they are written, and takes a step of other values for one:
   * see `markStages`.
   */
  readonly bakesArgs: boolean;
}

interface Line {
  readonly number: number;
  /** Of the last line that it goes on to. */
  readonly lastNumber: number;
  readonly text: string;
}

const known = new Set(
  (
    'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL ' +
    'STOPSIGNAL USER VOLUME WORKDIR'
  ).split(' '),
);

/**
 * Reads a Dockerfile as far as its stages go. Throws `invalid-argument` in Docker's words for an
 * instruction that there is none of, for no stage at all, and for a target that is no stage.
 */
export function planDockerfile(
  text: string,
  options: {
    readonly fileName: string;
    readonly buildArgs: Readonly<Record<string, string>>;
    readonly target: string;
  },
): DockerfilePlan {
  const lines = instructionLines(text);
  if (lines.length === 0) {
    throw invalid(`the Dockerfile (${options.fileName}) cannot be empty`);
  }
  const globals = new Map<string, string>();
  const stages = new Set<string>();
  const images = new Set<string>();
  const given = new Set(Object.keys(options.buildArgs));
  let bakesArgs = false;
  let count = 0;
  const note = (name: string) => {
    const isStage = stages.has(name.toLowerCase()) || /^\d+$/.test(name);
    if (name !== '' && name.toLowerCase() !== 'scratch' && !isStage) images.add(name);
  };
  for (const { number, text: line } of lines) {
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    const instruction = word.toUpperCase();
    if (!known.has(instruction)) {
      throw invalid(`dockerfile parse error line ${number}: unknown instruction: ${instruction}`);
    }
    if (instruction === 'ARG') {
      // What takes its value from one that was given is as good as given.
      for (const one of rest.split(/\s+/)) if (refersTo(one, given)) given.add(nameOf(one));
    } else if (instruction !== 'RUN' && instruction !== 'FROM' && refersTo(rest, given)) {
      bakesArgs = true;
    }
    if (instruction === 'ARG' && count === 0) {
      for (const one of rest.split(/\s+/)) {
        const [name = '', ...value] = one.split('=');
        const given = own(options.buildArgs, name);
        const ownValue = value.length === 0 ? undefined : unquoted(value.join('='));
        globals.set(name, given ?? (ownValue === undefined ? '' : expanded(ownValue, globals)));
      }
    } else if (instruction === 'FROM') {
      const { image, name } = readFrom(rest, number);
      note(expanded(image, globals));
      count += 1;
      if (name !== undefined) stages.add(name.toLowerCase());
    } else if (count === 0) {
      throw invalid('no build stage in current context');
    } else {
      const [, from = ''] =
        /(?:^|[\s,])(?:--)?from=([^\s,]+)/.exec(flagsOf(instruction, rest)) ?? [];
      note(expanded(unquoted(from), globals));
    }
  }
  if (count === 0) throw invalid('no build stage in current context');
  const { target } = options;
  const isIndex = /^\d+$/.test(target) && Number(target) < count;
  if (target !== '' && !isIndex && !stages.has(target.toLowerCase())) {
    throw invalid(`failed to reach build target ${target} in Dockerfile`);
  }
  return { images: [...images], bakesArgs };
}

/** What stands in each stage of a marked Dockerfile. */
const markName = 'TS_SWARM_BUILD_ARGS';

/**
 * Begins each stage with an argument of this value, which sets the steps that follow apart from
 * those of builds with another.
 */
export function markStages(text: string, value: string): string {
  const raw = text.split('\n');
  const stages = instructionLines(text).filter(({ text: line }) => /^FROM\s/i.test(line));
  for (const { lastNumber } of stages.toReversed()) {
    raw.splice(lastNumber, 0, `ARG ${markName}=${value}`);
  }
  return raw.join('\n');
}

/** Whether an instruction is one that marks a stage. */
export function isMark(instruction: string): boolean {
  return instruction.startsWith(`ARG ${markName}=`);
}

function nameOf(argument: string): string {
  return argument.split('=', 1)[0] ?? '';
}

function refersTo(text: string, names: ReadonlySet<string>): boolean {
  return [...text.matchAll(/\$\{?(\w+)/g)].some(([, name = '']) => names.has(name));
}

/** The flags before an instruction's operands, where another stage or image may be named. */
function flagsOf(instruction: string, rest: string): string {
  if (!['ADD', 'COPY', 'RUN'].includes(instruction)) return '';
  const [flags = ''] = /^(?:--\S+\s+)*/.exec(rest) ?? [];
  return flags;
}

export function readFrom(
  rest: string,
  number: number,
): { image: string; name: string | undefined } {
  const words = rest.split(/\s+/).filter((word) => word !== '' && !word.startsWith('--'));
  const [image, as, name] = words;
  const isNamed = words.length === 3 && as?.toUpperCase() === 'AS';
  if (image === undefined || (words.length !== 1 && !isNamed)) {
    throw invalid(
      `dockerfile parse error line ${number}: FROM requires either one or three arguments`,
    );
  }
  return { image, name: isNamed ? name : undefined };
}

/** Instructions, continued lines joined; without comments, empty lines and here-documents. */
export function instructionLines(text: string): readonly Line[] {
  const raw = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const directive = raw.find((line) => /^\s*#\s*escape\s*=/i.test(line));
  const mark = directive?.includes('`') === true ? '`' : '\\';
  const lines: Line[] = [];
  for (let at = 0; at < raw.length; at += 1) {
    const number = at + 1;
    let line = raw[at] ?? '';
    if (/^\s*(#|$)/.test(line)) continue;
    while (line.trimEnd().endsWith(mark) && at + 1 < raw.length) {
      line = line.trimEnd().slice(0, -1);
      do at += 1;
      while (/^\s*#/.test(raw[at] ?? ''));
      line += raw[at] ?? '';
    }
    lines.push({ number, lastNumber: at + 1, text: line.trim() });
    for (const [, tab = '', word = ''] of line.matchAll(/<<(-?)["']?(\w+)["']?/g)) {
      if (!/^\s*(ADD|COPY|RUN)\b/i.test(line)) continue;
      const isEnd = (one: string) => (tab === '' ? one : one.trimStart()) === word;
      while (at + 1 < raw.length && !isEnd(raw[at + 1] ?? '')) at += 1;
      at += 1;
    }
  }
  return lines;
}

/** `$NAME`, `${NAME}`, `${NAME:-otherwise}` and `${NAME:+instead}`. */
function expanded(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (_all, plain?: string, braced?: string, kind?: string, word = '') => {
      const value = values.get(plain ?? braced ?? '') ?? '';
      if (kind === '-') return value === '' ? word : value;
      if (kind === '+') return value === '' ? '' : word;
      return value;
    },
  );
}

function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/s, '$2');
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
