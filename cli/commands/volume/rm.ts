import { connect } from '../../client/index.ts';
import { atLeast, forEachOperand, type Command } from '../../command/command.ts';
import { bool } from '../../command/flags.ts';

const force = bool('force', 'Force the removal of one or more volumes', { short: 'f' });

export const command: Command = {
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  flags: [force],
  args: atLeast(1),
  async run(context, names, flags) {
    const client = connect(context);
    const query = flags.get(force) ? { force: 1 } : {};
    await forEachOperand(names, async (name) => {
      await client.json('DELETE', `/volumes/${encodeURIComponent(name)}`, { query });
      context.out.line(name);
    });
  },
};
