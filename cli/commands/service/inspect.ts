import { SwarmError } from '../../../lib/errors.ts';
import { connect, type Client } from '../../client/index.ts';
import type { WireService } from '../../client/wire.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { printInspected } from '../../format/inspect.ts';
import { networkNames } from '../../service/networks.ts';
import { optionalFields } from '../../service/optional-fields.ts';

const pretty = bool('pretty', 'Print the information in a human friendly format');

export const command: Command = {
  usage: '[OPTIONS] SERVICE [SERVICE...]',
  flags: [inspectFormatFlag, pretty],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const format = flags.get(inspectFormatFlag);
    const get = (reference: string) => getService(client, reference);
    if (!flags.get(pretty)) {
      return printInspected(context.out, references, get, { format, optional: optionalFields });
    }
    if (format !== undefined)
      throw commandError('--format is incompatible with human friendly format');
    const { prettyService } = await import('../../service/pretty.ts');
    const now = context.clock.nowMs();
    for (const reference of references) {
      const service = await get(reference);
      const ids = (service.Spec.TaskTemplate.Networks ?? []).map(({ Target }) => Target);
      context.out.line(prettyService(service, now, await networkNames(client, ids)));
    }
  },
};

async function getService(client: Client, reference: string): Promise<WireService> {
  const path = `/services/${encodeURIComponent(reference)}`;
  try {
    return await client.get<WireService>(path, { insertDefaults: true });
  } catch (error) {
    if (SwarmError.from(error).code !== 'not-found') throw error;
    throw new SwarmError('not-found', `Error: no such service: ${reference}`, { cause: error });
  }
}
