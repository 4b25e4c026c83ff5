import { text as allOf } from 'node:stream/consumers';
import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import type { Context } from '../../command/context.ts';
import { commandError } from '../../command/errors.ts';
import { bool, text } from '../../command/flags.ts';
import { serverKey, storeCredentials } from '../../image/credentials.ts';
import { askHidden, askLine } from '../../image/questions.ts';

const username = text('username', 'Username', { short: 'u' });
const password = text('password', 'Password', { short: 'p' });
const passwordStdin = bool('password-stdin', 'Take the password from stdin');

export const command: Command = {
  usage: '[OPTIONS] [SERVER]',
  flags: [password, passwordStdin, username],
  args: between(0, 1),
  async run(context, [server], flags) {
    const key = serverKey(server);
    const given = flags.get(password);
    if (given !== undefined && flags.get(passwordStdin)) {
      throw commandError('--password and --password-stdin are mutually exclusive');
    }
    if (flags.get(passwordStdin) && flags.get(username) === undefined) {
      throw commandError('Must provide --username with --password-stdin');
    }
    const piped = flags.get(passwordStdin) ? await pipedPassword(context) : given;
    const credentials = await completed(context, flags.get(username), piped);
    const { Status: status } = await connect(context).json<{ Status: string }>('POST', '/auth', {
      body: { ...credentials, serveraddress: key },
    });
    const path = await storeCredentials(context.env, key, credentials);
    if (path !== undefined) {
      context.err.line(`WARNING! The password is stored unencrypted in ${path}.`);
      context.err.line('Name a credential helper there (credsStore) to avoid that.');
    }
    context.out.line(status);
  },
};

async function pipedPassword(context: Context): Promise<string> {
  return (await allOf(context.stdin)).replace(/\r?\n$/, '');
}

async function completed(context: Context, name: string | undefined, secret: string | undefined) {
  const isMissing = name === undefined || secret === undefined;
  if (isMissing && context.stdin.isTTY !== true) {
    throw commandError('Cannot perform an interactive login from a non TTY device');
  }
  const chosen = name ?? (await askLine(context, 'Username: '));
  if (chosen === '') throw commandError('username required');
  const known = secret ?? (await askHidden(context, 'Password: '));
  if (known === '') throw commandError('password required');
  return { username: chosen, password: known };
}
