import { connect } from '../../client/index.ts';
import { atLeast, forEachOperand, type Command } from '../../command/command.ts';
import { bool } from '../../command/flags.ts';

const force = bool('force', 'Force remove a node from the swarm', { short: 'f' });

export const command: Command = {
  usage: '[OPTIONS] NODE [NODE...]',
  flags: [force],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    await forEachOperand(references, async (reference) => {
      await client.json('DELETE', `/nodes/${encodeURIComponent(reference)}`, {
        query: flags.get(force) ? { force: 1 } : {},
      });
      context.out.line(reference);
    });
  },
};
