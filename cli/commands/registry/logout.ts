import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';

export const command: Command = {
  usage: '[SERVER]',
  flags: [],
  args: between(0, 1),
  async run(context, [server = '']) {
    const registry = server === '' ? 'docker.io' : server;
    await connect(context).json('DELETE', `/registries/${encodeURIComponent(registry)}`);
    context.out.line(`Removed login for ${registry}`);
  },
};
