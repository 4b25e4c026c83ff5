import { stringify } from 'yaml';
import { noArgs, type Command } from '../../command/command.ts';
import { text } from '../../command/flags.ts';
import { inputFlags, readStack } from '../../stack/input.ts';

const nameFlag = text('name', "The stack's name, for names that hold it", {
  shownDefault: 'stack',
});

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [...inputFlags, nameFlag],
  args: noArgs,
  long: 'Prints the files as one: merged, with variables, includes and extensions in their places.',
  async run(context, _args, flags) {
    const composed = await readStack(context, flags.get(nameFlag) ?? 'stack', flags);
    for (const warning of composed.warnings) context.err.line(`warning: ${warning}`);
    context.out.write(stringify(composed.document, { lineWidth: 0 }));
  },
};
