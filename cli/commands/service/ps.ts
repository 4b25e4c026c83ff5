import { SwarmError } from '../../../lib/errors.ts';
import { connect, type Client, type Filters } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noResolveFlag, noTruncFlag } from '../../command/common-flags.ts';
import { silentExit } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { gatherFilters, listServices, listTasks } from '../../service/lookup.ts';
import { lastScaled } from '../../service/pretty.ts';
import { printTasks } from '../../service/task-list.ts';

const quiet = bool('quiet', 'Only display task IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS] SERVICE [SERVICE...]',
  flags: [filterFlag, formatFlag, noResolveFlag, noTruncFlag, quiet],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const { ids, scaled, missing } = await resolve(client, references);
    if (ids.length === 0) throw new SwarmError('not-found', missing.join('\n'));
    const filters = withNodeId(
      gatherFilters(flags.get(filterFlag)),
      await nodeFilter(client, flags.get(filterFlag)),
    );
    const tasks = await listTasks(client, { ...filters, service: ids });
    await printTasks(context, client, tasks, {
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ?? false,
      noTrunc: flags.get(noTruncFlag) ?? false,
      noResolve: flags.get(noResolveFlag) ?? false,
    });
    const isTable = /^(table|$)/.test(flags.get(formatFlag) ?? '') && flags.get(quiet) !== true;
    // Beside the table, which programs read.
    for (const { Spec, Autoscale } of isTable ? scaled : []) {
      const { LastScaled: last, State, Message } = Autoscale ?? {};
      if (last !== undefined) {
        context.err.line(`${Spec.Name}: autoscaled ${lastScaled(last, context.clock.nowMs())}`);
      }
      if (Message) context.err.line(`${Spec.Name}: autoscaling is ${State}: ${Message}`);
    }
    if (missing.length > 0) {
      context.err.line(missing.join('\n'));
      throw silentExit(1);
    }
  },
};

/** A service is meant by its id, else its name, else a beginning of its id that only it has. */
async function resolve(client: Client, references: readonly string[]) {
  const services = await listServices(client);
  const ids: string[] = [];
  const missing: string[] = [];
  for (const reference of references) {
    const exact =
      services.find(({ ID }) => ID === reference) ??
      services.find(({ Spec }) => Spec.Name === reference);
    const begun = services.filter(({ ID }) => ID.startsWith(reference));
    const found = exact ?? (begun.length === 1 ? begun[0] : undefined);
    if (found !== undefined) ids.push(found.ID);
    else if (begun.length > 1) {
      missing.push(`service ${reference} is ambiguous (${begun.length} matches found)`);
    } else missing.push(`no such service: ${reference}`);
  }
  const scaled = services.filter(
    ({ ID, Autoscale }) => ids.includes(ID) && Autoscale !== undefined,
  );
  return { ids, scaled, missing };
}

/** `node=self` is the node that answers; the daemon wants its id. */
async function nodeFilter(
  client: Client,
  given: readonly (readonly [string, string])[] = [],
): Promise<string | undefined> {
  if (!given.some(([key, value]) => key === 'node' && value === 'self')) return undefined;
  const info = await client.get<{ Swarm?: { NodeID?: string } }>('/info');
  return info.Swarm?.NodeID;
}

function withNodeId(filters: Filters, self: string | undefined): Filters {
  if (self === undefined) return filters;
  const node = (filters['node'] ?? []).map((value) => (value === 'self' ? self : value));
  return { ...filters, node };
}
