/**
 * Owns the `ts-swarm` command line: argv in, Docker Engine API calls, text and an exit code out.
 * Meets the daemon only on the wire; imports `lib`, `types` and `compose`, nothing else of the
 * house. Every verb is one file under commands/, loaded only when it is used. Read command/tree.ts
 * first, then commands/service/create.ts.
 */
import { spawnSync } from 'node:child_process';
import { realClock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Context } from './command/context.ts';
import { run } from './command/run.ts';
import { Output } from './format/output.ts';

/** Runs the command of this process's argv. The only place that touches `process`. */
export async function runProcess(): Promise<void> {
  const context: Context = {
    env: process.env,
    stdin: process.stdin,
    out: new Output(process.stdout),
    err: new Output(process.stderr),
    clock: realClock,
    onInterrupt(callback) {
      process.once('SIGINT', callback);
      return { [Symbol.dispose]: () => process.removeListener('SIGINT', callback) };
    },
    rawTerminal,
    onSignals(names, callback) {
      for (const name of names) process.on(name, callback);
      return {
        [Symbol.dispose]: () => names.forEach((name) => process.removeListener(name, callback)),
      };
    },
    host: undefined,
  };
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader of a pipe has gone (`ts-swarm … | head`): nobody is left to tell anything to.
      if (error.code === 'EPIPE') process.exit(0);
      if (stream === process.stderr) process.exit(1);
      process.stderr.write(`ts-swarm: the output cannot be written: ${messageOf(error)}\n`, () =>
        process.exit(1),
      );
    });
  }
  process.exitCode = await run(process.argv.slice(2), context);
}

function rawTerminal(): Disposable {
  const { stdin } = process;
  stdin.setRawMode(true);
  // Node leaves the terminal to make two characters of each line's end, as the container's has done
  // already. Where there is no stty, lines still look right, and only programs that draw do not.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  return { [Symbol.dispose]: () => void stdin.setRawMode(false) };
}
