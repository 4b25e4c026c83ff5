import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { containerPath } from '../../container/verb.ts';
import { printInspected } from '../../format/inspect.ts';

const size = bool('size', 'Display total file sizes', { short: 's' });
const optional = new Set(['Health', 'SizeRw', 'SizeRootFs', 'Healthcheck', 'Shell', 'Init']);

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags: [inspectFormatFlag, size],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const query = { size: flags.get(size) ? 1 : undefined };
    const get = (reference: string) => client.get(`${containerPath(reference)}/json`, query);
    const format = flags.get(inspectFormatFlag);
    await printInspected(context.out, references, get, { format, optional });
  },
};
