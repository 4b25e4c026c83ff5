import { between, type Command } from '../../command/command.ts';
import { eraseCredentials, hubServer, serverKey } from '../../image/credentials.ts';

export const command: Command = {
  usage: '[SERVER]',
  flags: [],
  args: between(0, 1),
  async run(context, [server]) {
    const key = serverKey(server);
    const shown = key === hubServer ? key : (server ?? key);
    const known = await eraseCredentials(context.env, key);
    context.out.line(
      known ? `Removing login credentials for ${shown}` : `Not logged in to ${shown}`,
    );
  },
};
