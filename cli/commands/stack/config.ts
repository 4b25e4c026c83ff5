import { stringify } from 'yaml';
import { noArgs, type Command } from '../../command/command.ts';
import { bool, text } from '../../command/flags.ts';
import { inputFlags, readAsWritten, readStack } from '../../stack/input.ts';

const nameFlag = text('name', "The stack's name, for names that hold it", {
  shownDefault: 'stack',
});

const skipInterpolation = bool('skip-interpolation', 'Leave variables as they are written');

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [...inputFlags, nameFlag, skipInterpolation],
  args: noArgs,
  long: 'Prints the files as one: merged, with variables, includes and extensions in their places.',
  async run(context, _args, flags) {
    const name = flags.get(nameFlag) ?? 'stack';
    if (flags.get(skipInterpolation)) {
      const document = await readAsWritten(context, name, flags);
      context.out.write(stringify(document, { lineWidth: 0 }));
      return;
    }
    const composed = await readStack(context, name, flags);
    for (const warning of composed.warnings) context.err.line(`warning: ${warning}`);
    context.out.write(stringify(composed.document, { lineWidth: 0 }));
  },
};
