import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { text } from '../../command/flags.ts';
import { platformFlag, platformJson } from '../../image/platform.ts';

const output = text('output', 'Write to a file, instead of STDOUT', { short: 'o' });

const platform = platformFlag('Save only the given platform variant');

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: [output, platform],
  args: atLeast(1),
  async run(context, names, flags) {
    const path = flags.get(output);
    if (path === undefined && context.out.isTerminal) {
      throw commandError('cowardly refusing to save to a terminal. Use the -o flag or redirect');
    }
    const response = await connect(context).stream('GET', '/images/get', {
      query: { names, platform: platformJson(flags.get(platform)) },
    });
    if (path === undefined) {
      for await (const chunk of response as AsyncIterable<Buffer>) await context.out.drained(chunk);
      return;
    }
    // Half an archive must not look like a whole one.
    const partial = `${path}.partial`;
    try {
      await pipeline(response, createWriteStream(partial));
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  },
};
