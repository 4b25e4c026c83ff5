/** Questions to a child process, one at a time, and its answers. */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

type Answer = { readonly result: unknown } | { readonly error: string };

export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(file: string, config: unknown, execArgv: readonly string[] = []) {
    this.#process = fork(join(import.meta.dirname, file), [JSON.stringify(config)], {
      execArgv: ['--disable-warning=ExperimentalWarning', ...execArgv],
    });
    const { promise, reject } = Promise.withResolvers<never>();
    this.#process.once('exit', (code, signal) => {
      reject(new Error(`${file} has ended: ${signal ?? `code ${code}`}`));
    });
    this.#ended = promise;
    // It is the answers that fail with it; at the end nobody waits for one.
    this.#ended.catch((error: unknown) => error);
  }

  async ask<T>(question: unknown): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#process.once('message', (message) => resolve(message as Answer));
    this.#process.send(question as object);
    const answer = await Promise.race([promise, this.#ended]);
    if ('error' in answer) throw new Error(answer.error);
    return answer.result as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#process.once('exit', () => resolve());
    this.#process.disconnect();
    await promise;
  }
}

/** In the child: answers questions until the parent hangs up. */
export function serve(answer: (question: never) => Promise<unknown>): Promise<void> {
  process.on('message', (question) => {
    answer(question as never).then(
      (result) => process.send?.({ result: result ?? null }),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
  });
  return new Promise((resolve) => {
    process.once('disconnect', resolve);
  });
}

/** In the child: what the parent started it with. */
export function config(): unknown {
  return JSON.parse(process.argv[2] ?? '{}');
}
