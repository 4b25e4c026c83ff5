import { text as allOf } from 'node:stream/consumers';
import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool, text } from '../../command/flags.ts';

const username = text('username', 'Username', { short: 'u' });
const passwordStdin = bool('password-stdin', 'Take the password from stdin');
const tokenStdin = bool('identity-token-stdin', 'Take an identity token from stdin');

export const command: Command = {
  usage: '[OPTIONS] [SERVER]',
  flags: [tokenStdin, passwordStdin, username],
  args: between(0, 1),
  long:
    'Every node of the swarm pulls with it from then on, where a service has no credentials of its\n' +
    'own, or they are refused. An identity token is exchanged anew for each pull. The server is\n' +
    "called as in the names of images; Docker's own registry where none is given.",
  async run(context, [server = ''], flags) {
    const isToken = flags.get(tokenStdin) ?? false;
    const name = flags.get(username) ?? '';
    if (isToken === (flags.get(passwordStdin) ?? false)) {
      throw commandError('give one of --password-stdin and --identity-token-stdin');
    }
    if (!isToken && name === '') throw commandError('a password needs a --username');
    const secret = (await allOf(context.stdin)).replace(/\r?\n$/, '');
    if (secret === '') throw commandError('standard input is empty');
    await connect(context).json('POST', '/registries', {
      body: {
        ServerAddress: server,
        Username: name,
        ...(isToken ? { IdentityToken: secret } : { Password: secret }),
      },
    });
    context.out.line('Login kept by the swarm');
  },
};
