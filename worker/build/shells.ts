/**
 * What SHELL means for CMD and ENTRYPOINT. buildah has both run by /bin/sh whatever the Dockerfile
 * or the image that it builds on says, so that they are written out here. Pure.
 */
import { instructionLines, readFrom } from './dockerfile.ts';

type Shell = readonly string[];

interface Edit {
  readonly number: number;
  readonly lastNumber: number;
  readonly text: string;
}

/**
 * The same Dockerfile; commands in shell form that follow a SHELL are in exec form. `ofBase` knows
 * the shell that the image of a stage brings, by the number of the stage.
 */
export function spellOutShells(
  text: string,
  ofBase: (stage: number) => Shell | undefined = () => undefined,
): string {
  const edits: Edit[] = [];
  const ofStages = new Map<string, Shell | undefined>();
  let names: readonly string[] = [];
  let shell: Shell | undefined;
  let count = 0;
  for (const { number, lastNumber, text: line } of instructionLines(text)) {
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    switch (word.toUpperCase()) {
      case 'FROM': {
        const { image, name } = readFrom(rest, number);
        shell = ofStages.has(image.toLowerCase())
          ? ofStages.get(image.toLowerCase())
          : ofBase(count);
        names = [`${count++}`, ...(name === undefined ? [] : [name.toLowerCase()])];
        for (const one of names) ofStages.set(one, shell);
        break;
      }
      case 'SHELL':
        shell = wordsOf(rest);
        for (const one of names) ofStages.set(one, shell);
        break;
      case 'CMD':
      case 'ENTRYPOINT':
        if (shell === undefined || rest === '' || wordsOf(rest) !== undefined) break;
        edits.push({ number, lastNumber, text: `${word} ${JSON.stringify([...shell, rest])}` });
        break;
    }
  }
  const raw = text.split('\n');
  for (const { number, lastNumber, text: line } of edits.toReversed()) {
    raw.splice(number - 1, lastNumber - number + 1, line);
  }
  return raw.join('\n');
}

/** Of the exec form; undefined for what is none. */
function wordsOf(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isForm = Array.isArray(value) && value.every((word) => typeof word === 'string');
    return isForm ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
