/** What a Dockerfile builds on: the images that must be there before the build begins. Pure. */
import { SwarmError } from '../../lib/errors.ts';
import { own } from '../../lib/own.ts';

/** A stage, as far as it is shown. */
export interface Stage {
  /** As the Dockerfile names it; absent where it does not. */
  readonly name?: string;
  /** What it is built on, variables filled in: an image, or another stage. */
  readonly base: string;
  readonly isOnStage: boolean;
  /** The instructions that make files: RUN, COPY, ADD and WORKDIR. */
  readonly makers: number;
}

interface DockerfilePlan {
  readonly stages: readonly Stage[];
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
  /** What follows an ADD, COPY or RUN up to a word of its own: their names. */
  readonly documents: readonly string[];
}

const known = new Set(
  (
    'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL ' +
    'STOPSIGNAL USER VOLUME WORKDIR'
  ).split(' '),
);

const makers: ReadonlySet<string> = new Set(['ADD', 'COPY', 'RUN', 'WORKDIR']);

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
    /** What arguments before the first stage have without being told. */
    readonly builtins?: Readonly<Record<string, string>>;
  },
): DockerfilePlan {
  const lines = instructionLines(text);
  if (lines.length === 0) {
    throw invalid(`the Dockerfile (${options.fileName}) cannot be empty`);
  }
  const globals = new Map<string, string>(Object.entries(options.builtins ?? {}));
  const stages = new Set<string>();
  const list: { name?: string; base: string; isOnStage: boolean; makers: number }[] = [];
  const images = new Set<string>();
  const given = new Set(Object.keys(options.buildArgs));
  let bakesArgs = false;
  let count = 0;
  const note = (name: string) => {
    const isStage = stages.has(name.toLowerCase()) || /^\d+$/.test(name);
    if (name !== '' && name.toLowerCase() !== 'scratch' && !isStage) images.add(name);
  };
  for (const { number, text: line, documents } of lines) {
    refuseDocuments(documents, number);
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
        const otherwise = ownValue === undefined ? globals.get(name) : expanded(ownValue, globals);
        globals.set(name, given ?? otherwise ?? '');
      }
    } else if (instruction === 'FROM') {
      const { image, name } = readFrom(rest, number);
      const base = expanded(image, globals);
      const isOnStage = stages.has(base.toLowerCase());
      list.push({ base, isOnStage, makers: 0, ...(name === undefined ? {} : { name }) });
      note(base);
      count += 1;
      if (name !== undefined) stages.add(name.toLowerCase());
    } else if (count === 0) {
      throw invalid('no build stage in current context');
    } else {
      const stage = list.at(-1);
      if (stage !== undefined && makers.has(instruction)) stage.makers += 1;
      const [, from = ''] =
        /(?:^|[\s,])(?:--)?from=([^\s,]+)/.exec(flagsOf(instruction, rest)) ?? [];
      note(expanded(unquoted(from), globals));
    }
  }
  if (count === 0) throw invalid('no build stage in current context');
  checkTarget(options.target, { stages, count });
  return { images: [...images], bakesArgs, stages: list };
}

function refuseDocuments([first]: readonly string[], number: number): void {
  if (first === undefined) return;
  throw invalid(
    `dockerfile parse error line ${number}: here-documents (<<${first}) are not supported: ` +
      'write the commands in one line, or COPY a file',
  );
}

function checkTarget(
  target: string,
  { stages, count }: { readonly stages: ReadonlySet<string>; readonly count: number },
): void {
  const isIndex = /^\d+$/.test(target) && Number(target) < count;
  if (target !== '' && !isIndex && !stages.has(target.toLowerCase())) {
    throw invalid(`failed to reach build target ${target} in Dockerfile`);
  }
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
export function flagsOf(instruction: string, rest: string): string {
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

/** A word of the shell that announces a document: "<<END", "<<-'END'". */
const documentWord = /(?<=^|\s)\d*<<(-?)(["']?)([^\s<"']+)\2(?=\s|$)/g;

/** What the line "# syntax=…" at the top names; absent where there is none. */
export function syntaxOf(text: string): string | undefined {
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const [, name, value] = /^\s*#\s*([a-z]+)\s*=\s*(\S+)/i.exec(line) ?? [];
    if (name === undefined) return undefined;
    if (name.toLowerCase() === 'syntax') return value;
  }
  return undefined;
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
    const lastNumber = at + 1;
    const documents = /^\s*(ADD|COPY|RUN)\b/i.test(line) ? [...line.matchAll(documentWord)] : [];
    for (const [, tab = '', , word = ''] of documents) {
      const isEnd = (one: string) => (tab === '' ? one : one.replace(/^\t+/, '')) === word;
      while (at + 1 < raw.length && !isEnd(raw[at + 1] ?? '')) at += 1;
      at += 1;
    }
    const names = documents.map(([, , , word = '']) => word);
    lines.push({ number, lastNumber, text: line.trim(), documents: names });
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

export function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/s, '$2');
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
