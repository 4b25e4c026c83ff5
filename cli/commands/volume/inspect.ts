import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { printInspected } from '../../format/inspect.ts';
import { findVolume } from '../../volume/wire.ts';

const optional = new Set(['ClusterVolume', 'CreatedAt', 'Status', 'UsageData']);

export const command: Command = {
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  flags: [inspectFormatFlag],
  args: atLeast(1),
  async run(context, names, flags) {
    const client = connect(context);
    await printInspected(context.out, names, (name) => findVolume(client, name), {
      format: flags.get(inspectFormatFlag),
      optional,
    });
  },
};
