import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { printInspected } from '../../format/inspect.ts';
import { findNode } from '../../node/change.ts';
import { optionalFields } from '../../service/optional-fields.ts';

const pretty = bool('pretty', 'Print the information in a human friendly format');

export const command: Command = {
  usage: '[OPTIONS] self|NODE [NODE...]',
  flags: [inspectFormatFlag, pretty],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const format = flags.get(inspectFormatFlag);
    if (!flags.get(pretty)) {
      const options = { format, optional: optionalFields };
      return printInspected(context.out, references, (name) => findNode(client, name), options);
    }
    if (format !== undefined)
      throw commandError('--format is incompatible with human friendly format');
    const { prettyNode } = await import('../../node/pretty.ts');
    for (const reference of references) {
      context.out.line(prettyNode(await findNode(client, reference)));
    }
  },
};
