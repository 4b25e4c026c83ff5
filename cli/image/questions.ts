/** What is asked at the terminal, with an answer that is shown as it is typed or not at all. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Context } from '../command/context.ts';

export async function askLine({ err, stdin }: Context, prompt: string): Promise<string> {
  err.write(prompt);
  const lines = createInterface({ input: stdin });
  try {
    return (await lines.question('')).trim();
  } finally {
    lines.close();
  }
}

export async function askHidden({ err, stdin }: Context, prompt: string): Promise<string> {
  err.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true });
  try {
    return (await lines.question('')).trim();
  } finally {
    lines.close();
    err.line('');
  }
}
