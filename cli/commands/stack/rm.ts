import { atLeast, forEachOperand, type Command } from '../../command/command.ts';
import { connect } from '../../client/index.ts';
import { checkName } from '../../stack/input.ts';
import { removeStack } from '../../stack/remove.ts';

export const command: Command = {
  usage: 'STACK [STACK...]',
  flags: [],
  args: atLeast(1),
  async run(context, names) {
    names.forEach(checkName);
    const client = connect(context);
    await forEachOperand(names, (name) => removeStack(context, client, name));
  },
};
