import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printInspected } from '../../format/inspect.ts';
import { findNetwork } from '../../network/options.ts';

const verbose = bool('verbose', 'Verbose output for diagnostics', { short: 'v' });
const optional = new Set('AuxiliaryAddresses Gateway IPRange Peers Services Subnet'.split(' '));

export const command: Command = {
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  flags: [inspectFormatFlag, verbose],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const query = flags.get(verbose) ? { verbose: true } : {};
    const get = (reference: string) => findNetwork(client, reference, query);
    await printInspected(context.out, references, get, {
      format: flags.get(inspectFormatFlag),
      optional,
    });
  },
};
