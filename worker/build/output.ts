/** buildah's words in Docker's: what clients of the classic builder look for. Pure. */
import { isMark } from './dockerfile.ts';

/**
 * Translates line by line. In a marked Dockerfile each stage has a step that its author did not
 * write (`markStages`): it is not shown, and not counted.
 */
export function translator({ marked }: { readonly marked: boolean }) {
  const shown = withoutMarks({ marked });
  return (line: string): string | undefined => {
    const own = shown(line);
    return own === undefined ? undefined : translated(own);
  };
}

/** buildah's own line, as it were without the marks; undefined for one that comes of a mark. */
export function withoutMarks({ marked }: { readonly marked: boolean }) {
  let isHidden = false;
  return (line: string): string | undefined => {
    if (!marked) return line;
    const step = /^(\[\d+\/\d+\] )?STEP (\d+)\/(\d+): (.*)$/.exec(line);
    if (step === null) return isHidden ? undefined : line;
    const [, stage = '', number = '', total = '', text = ''] = step;
    isHidden = isMark(text);
    if (isHidden) return undefined;
    const own = Number(number) > 1 ? Number(number) - 1 : 1;
    return `${stage}STEP ${own}/${Number(total) - 1}: ${text}`;
  };
}

/** A line that is shown; undefined for one that has no counterpart. */
export function translated(line: string): string | undefined {
  const step = /^(\[\d+\/\d+\] )?STEP (\d+)\/(\d+): (.*)$/.exec(line);
  if (step !== null) {
    const [, stage = '', number = '', total = '', text = ''] = step;
    return `${stage}Step ${number}/${total} : ${text}\n`;
  }
  const cached = /^(?:\[\d+\/\d+\] )?--> Using cache ([0-9a-f]{12})[0-9a-f]*$/.exec(line);
  if (cached !== null) return ` ---> Using cache\n ---> ${cached[1]}\n`;
  const made = /^(?:\[\d+\/\d+\] )?--> ([0-9a-f]{11,64})$/.exec(line);
  if (made !== null) return ` ---> ${made[1]?.slice(0, 12)}\n`;
  if (/^(\[\d+\/\d+\] )?COMMIT\b/.test(line) || /^[0-9a-f]{64}$/.test(line)) return undefined;
  return `${line}\n`;
}

/** buildah's own log, which is no part of the build's output. */
export function isLogLine(line: string): boolean {
  return /^time="[^"]*" level=/.test(line);
}

export interface Failure {
  readonly message: string;
  /** Of the command that failed; absent for failures of another kind. */
  readonly exitCode?: number;
  /** What was run, with its shell; there where the exit code is. */
  readonly command?: string;
  /** The file of the context that is not there. */
  readonly missingPath?: string;
}

/** Reads the last line that buildah wrote: "Error: building at STEP …". */
export function failureOf(line: string): Failure {
  const text = line.replace(/^Error: /, '');
  // The instruction stands there as it is, with whatever quotes it has.
  const step =
    /^building at STEP "(.*)": (while running runtime: .*)$/s.exec(text) ??
    /^building at STEP "(.*?)": (.*)$/s.exec(text);
  const [, instruction = '', reason = text] = step ?? [];
  const exit = /^while running runtime: exit status (\d+)$/.exec(reason);
  if (exit !== null) {
    const exitCode = Number(exit[1]);
    const command = commandOf(instruction);
    return {
      message: `The command '${command}' returned a non-zero code: ${exitCode}`,
      exitCode,
      command,
    };
  }
  const missing = /copier: stat: ("[^"]*"|\S+): no such file or directory/.exec(reason);
  if (missing !== null) {
    const word = instruction.split(/\s/, 1)[0] ?? 'COPY';
    const path = missing[1]?.replaceAll('"', '').replace(/^\//, '');
    return {
      missingPath: path ?? '',
      message:
        `${word} failed: file not found in build context or excluded by .dockerignore: ` +
        `stat ${path}: file does not exist`,
    };
  }
  return { message: step === null ? text : `${instruction}: ${reason}` };
}

/** As Docker writes the command of a RUN. */
function commandOf(instruction: string): string {
  const command = instruction.replace(/^RUN\s+/i, '').replace(/^(--\S+\s+)*/, '');
  try {
    const list: unknown = JSON.parse(command);
    if (Array.isArray(list)) return list.join(' ');
  } catch (thrown) {
    // The shell form is no JSON.
    if (!(thrown instanceof SyntaxError)) throw thrown;
  }
  return `/bin/sh -c ${command}`;
}
