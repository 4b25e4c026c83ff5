import { connect } from '../../client/index.ts';
import type { WireService } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList } from '../../format/list.ts';
import { naturalCompare } from '../../format/units.ts';
import { gatherFilters, listServices } from '../../service/lookup.ts';
import { countedRows, serviceColumns, type ServiceRow } from '../../service/service-list.ts';

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
