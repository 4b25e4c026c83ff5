import { atLeast, forEachOperand, type Command } from '../../command/command.ts';
import { connect } from '../../client/index.ts';
import { bool } from '../../command/flags.ts';
import { checkName } from '../../stack/input.ts';
import { removeStack, waitGone } from '../../stack/remove.ts';

const detach = bool('detach', 'Exit immediately instead of waiting for the last task to end', {
  short: 'd',
});

export const command: Command = {
  usage: '[OPTIONS] STACK [STACK...]',
  flags: [detach],
  args: atLeast(1),
  async run(context, names, flags) {
    names.forEach(checkName);
    const client = connect(context);
    await forEachOperand(names, async (name) => {
      await removeStack(context, client, name);
      if (!flags.get(detach)) await waitGone(context, client, name);
    });
  },
};
