import { SwarmError } from '../../../lib/errors.ts';
import { connect, type Client } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { isConfirmed } from '../../command/confirm.ts';
import { silentExit } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { findNetwork } from '../../network/options.ts';

const force = bool('force', 'Do not error if the network does not exist', { short: 'f' });

const aboutIngress =
  'WARNING! Before removing the routing-mesh network, make sure all the nodes in your swarm run ' +
  'the same docker engine version. Otherwise, removal may not be effective and functionality of ' +
  'newly create ingress networks will be impaired.';

export const command: Command = {
  usage: '[OPTIONS] NETWORK [NETWORK...]',
  flags: [force],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    let failed = false;
    for (const reference of references) {
      try {
        const asks = await isIngress(client, reference);
        if (asks && !(await isConfirmed(context, aboutIngress))) continue;
        await client.json('DELETE', `/networks/${encodeURIComponent(reference)}`);
        context.out.line(reference);
      } catch (error) {
        const { code, message } = SwarmError.from(error);
        if (code === 'not-found' && flags.get(force)) continue;
        context.err.line(message);
        failed = true;
      }
    }
    if (failed) throw silentExit(1);
  },
};

/** What is not there is none: removing it says so. */
async function isIngress(client: Client, reference: string): Promise<boolean> {
  try {
    return (await findNetwork(client, reference)).Ingress === true;
  } catch (error) {
    if (SwarmError.from(error).code === 'not-found') return false;
    throw error;
  }
}
