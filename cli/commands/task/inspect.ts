import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printInspected } from '../../format/inspect.ts';

const container = bool('container', "Show the task's container as it is on its node");

const optional = new Set(['Slot', 'NodeID', 'ContainerStatus', 'Err', 'Ports', 'Health']);

export const command: Command = {
  usage: '[OPTIONS] TASK [TASK...]',
  flags: [inspectFormatFlag, container],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const rest = flags.get(container) ? '/container' : '';
    const get = (reference: string) => client.get(`/tasks/${encodeURIComponent(reference)}${rest}`);
    await printInspected(context.out, references, get, {
      format: flags.get(inspectFormatFlag),
      optional,
    });
  },
};
