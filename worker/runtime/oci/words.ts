/** What the kernel takes as one argument or variable of a program: MAX_ARG_STRLEN. */
import { SwarmError } from '../../../lib/errors.ts';

/** 32 pages, with the byte that ends it; other processors may have larger pages. */
const wordBytesMax = 32 * 4096 - 1;

/**
 * Throws SwarmError `invalid-argument` that names a word which is too long. Asked beforehand, because
 * the OCI runtimes notice only where the container has begun, and can but end it with code 1.
 */
export function checkWords(
  argv: readonly string[],
  env: readonly string[],
  architecture: string,
): void {
  if (architecture !== 'x64') return;
  for (const [index, word] of argv.entries()) check(word, `argument ${index} of the command`);
  for (const variable of env) {
    check(variable, `the environment variable ${variable.slice(0, variable.indexOf('='))}`);
  }
}

function check(word: string, name: string): void {
  const bytes = Buffer.byteLength(word);
  if (bytes <= wordBytesMax) return;
  throw new SwarmError(
    'invalid-argument',
    `${name} is ${bytes} bytes long, and the kernel takes at most ${wordBytesMax}: give it as a ` +
      'config, a secret or a file in a volume',
  );
}
