import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { text } from '../../command/flags.ts';
import { findTarget } from '../../container/target.ts';

const output = text('output', 'Write to a file, instead of STDOUT', { short: 'o' });

export const command: Command = {
  usage: '[OPTIONS] CONTAINER',
  flags: [output],
  args: exactly(1),
  async run(context, [reference = ''], flags) {
    const file = flags.get(output);
    if (file === undefined && context.out.isTerminal) {
      throw commandError('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    const client = connect(context);
    const { path } = await findTarget(client, reference, 'any');
    const archive = await client.stream('GET', `${path}/export`);
    if (file !== undefined) {
      await pipeline(archive, createWriteStream(file, { mode: 0o600 }));
      return;
    }
    for await (const chunk of archive as AsyncIterable<Buffer>) await context.out.drained(chunk);
  },
};
