import { open, rename, rm } from 'node:fs/promises';
import { errnoOf, messageOf } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { text } from '../../command/flags.ts';
import { passphraseFile, passphraseHeaders } from '../../swarm/passphrase.ts';

const output = text('output', 'Write to this file instead of to swarm-TIME.backup', {
  short: 'o',
  word: 'file',
});

/** Whoever can read the file holds the swarm's root key. */
const secretMode = 0o600;

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [output, passphraseFile],
  args: noArgs,
  long:
    'Any manager makes the backup. It holds everything that the managers know, the key of the root ' +
    'CA included: encrypt it with --passphrase-file, or keep it as you keep private keys.',
  async run(context, _args, flags) {
    const stamp = new Date(context.clock.nowMs()).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const path = flags.get(output) ?? `swarm-${stamp}.backup`;
    const headers = await passphraseHeaders(flags);
    const response = await connect(context).stream('GET', '/swarm/backup', { headers });
    let bytes: number;
    try {
      bytes = await writeWhole(path, response as AsyncIterable<Buffer>);
    } finally {
      // Where the file could not be made, nobody has read the answer, which would keep us here.
      response.destroy();
    }
    context.out.line(`Backup of the swarm written to ${path} (${bytes} bytes).`);
    if (response.headers['x-swarm-encrypted'] === 'true') return;
    context.err.line(
      `WARNING: ${path} is not encrypted, and holds the key of the swarm's root CA and its join ` +
        'tokens: whoever reads it can take the swarm over.',
    );
  },
};

/** The file is there only once it is whole and on the disk. Returns its size. */
async function writeWhole(path: string, chunks: AsyncIterable<Buffer>): Promise<number> {
  const partial = `${path}.partial`;
  try {
    await rm(partial, { force: true });
    const file = await open(partial, 'wx', secretMode);
    let bytes = 0;
    try {
      for await (const chunk of chunks) {
        await file.writeFile(chunk);
        bytes += chunk.length;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
    return bytes;
  } catch (error) {
    await rm(partial, { force: true });
    const broken = errnoOf(error) === 'ECONNRESET' ? 'the daemon broke off' : messageOf(error);
    throw commandError(`no backup was made: ${broken}`);
  }
}
