/** Runs a program of the host, and says in a sentence why it failed. */
import { execFile } from 'node:child_process';
import { SwarmError } from '../../lib/errors.ts';

const outputBytesMax = 64 * 1024;

/** Throws SwarmError with what the program wrote last. */
export async function runProgram(
  program: string,
  words: readonly string[],
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const options = { timeout: timeoutMs, maxBuffer: outputBytesMax, killSignal: 'SIGKILL' } as const;
  execFile(program, [...words], options, (error, _stdout, stderr) => {
    if (error === null) {
      resolve();
    } else if (error.killed) {
      const text = `${program} did not end within ${timeoutMs / 1000} s`;
      reject(new SwarmError('deadline-exceeded', text, { cause: error }));
    } else {
      const said =
        stderr
          .trim()
          .split(/\s*\n\s*/)
          .join(' ') || error.message;
      reject(new SwarmError('failed-precondition', said, { cause: error }));
    }
  });
  return promise;
}
