import { connect } from '../../client/index.ts';
import type { WireService } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList } from '../../format/list.ts';
import { naturalCompare } from '../../format/units.ts';
import { gatherFilters, listNodes, listServices, listTasks } from '../../service/lookup.ts';
import { serviceColumns, type ServiceRow } from '../../service/service-list.ts';
import type { Client } from '../../client/index.ts';

const quiet = bool('quiet', 'Only display IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filterFlag, formatFlag, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const client = connect(context);
    const services = (await listServices(client, gatherFilters(flags.get(filterFlag)))).toSorted(
      (a, b) => naturalCompare(a.Spec.Name ?? '', b.Spec.Name ?? ''),
    );
    await printList(context.out, {
      rows: flags.get(quiet) ? services.map(bareRow) : await countedRows(client, services),
      columns: serviceColumns,
      table: ['ID', 'Name', 'Mode', 'Replicas', 'Image', 'Ports'],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? ({ service }) => service.ID.slice(0, 12) : undefined,
    });
  },
};

function bareRow(service: WireService): ServiceRow {
  return { service, running: 0, desired: 0, completed: 0 };
}

/** A daemon older than API 1.41 does not count the tasks itself. */
async function countedRows(
  client: Client,
  services: readonly WireService[],
): Promise<readonly ServiceRow[]> {
  if (services.every(({ ServiceStatus: status }) => status !== undefined)) {
    return services.map((service) => ({
      service,
      running: service.ServiceStatus?.RunningTasks ?? 0,
      desired: service.ServiceStatus?.DesiredTasks ?? 0,
      completed: service.ServiceStatus?.CompletedTasks ?? 0,
    }));
  }
  const [tasks, nodes] = await Promise.all([
    listTasks(client, { service: services.map(({ ID }) => ID) }),
    listNodes(client),
  ]);
  const up = new Set(nodes.filter(({ Status }) => Status.State !== 'down').map(({ ID }) => ID));
  return services.map((service) => {
    const own = tasks.filter(({ ServiceID }) => ServiceID === service.ID);
    const wanted = own.filter(({ DesiredState }) => DesiredState !== 'shutdown');
    return {
      service,
      running: own.filter(({ Status, NodeID = '' }) => Status.State === 'running' && up.has(NodeID))
        .length,
      desired: service.Spec.Mode?.Replicated?.Replicas ?? wanted.length,
      completed: own.filter(({ Status }) => Status.State === 'complete').length,
    };
  });
}
