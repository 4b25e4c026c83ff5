/** Docker's placeholders in the content of templated secrets and configs. */
import { SwarmError } from '../../lib/errors.ts';
import type { FileKind } from '../../types/index.ts';
import { evaluate, placeholders, type TemplateContext } from '../../lib/template.ts';

export interface FileContext extends TemplateContext {
  /** The environment that the task's spec gives the container: "NAME=value". */
  readonly env: readonly string[];
  /** Another of the task's files, by the target that it has there; undefined: there is none. */
  readonly file: (kind: FileKind, target: string) => Uint8Array | undefined;
  /** For sentences: "secret tls-key". */
  readonly what: string;
}

/** As Go has it: a dash at a brace eats the blanks beyond it. */
const placeholder = /(?:[ \t\r\n]*\{\{-(?=\s)|\{\{)\s*(.*?)\s*(?:(?<=\s)-\}\}[ \t\r\n]*|\}\})/gs;

/**
 * Bytes that are no text stay as they are. Throws SwarmError `invalid-argument`, naming the
 * placeholder that cannot be filled in.
 */
export function expandFile(content: Uint8Array, context: FileContext): Uint8Array {
  const text = Buffer.from(content).toString('latin1');
  const expanded = text.replace(placeholder, (_, expression: string) => {
    const value = valueOf(expression, context);
    if (value !== undefined) return Buffer.from(value).toString('latin1');
    // Not the placeholder itself, which may be part of a secret: the sentence is seen by many.
    throw new SwarmError(
      'invalid-argument',
      `what stands between braces in the ${context.what} is not a placeholder: use ${placeholders}, ` +
        'env "NAME", secret "TARGET" or config "TARGET"',
    );
  });
  return Buffer.from(expanded, 'latin1');
}

function valueOf(expression: string, context: FileContext): string | Uint8Array | undefined {
  const [, word, name = ''] = /^(env|secret|config)\s+"([^"]*)"$/.exec(expression) ?? [];
  if (word === undefined) return evaluate(expression, context);
  if (word === 'env') {
    const line = context.env.find((one) => one.startsWith(`${name}=`));
    return line?.slice(name.length + 1) ?? '';
  }
  const found = context.file(word as FileKind, name);
  if (found !== undefined) return found;
  throw new SwarmError(
    'invalid-argument',
    `the ${context.what} names the ${word} target "${name}", which the task does not have`,
  );
}
