import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList } from '../../format/list.ts';
import { naturalCompare } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';
import { countedRows, serviceColumns } from '../../service/service-list.ts';
import { checkName } from '../../stack/input.ts';
import { stackServices } from '../../stack/state.ts';

const quiet = bool('quiet', 'Only display IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS] STACK',
  flags: [filterFlag, formatFlag, quiet],
  args: exactly(1),
  async run(context, [name = ''], flags) {
    checkName(name);
    const client = connect(context);
    const found = await stackServices(client, name, gatherFilters(flags.get(filterFlag)));
    if (found.length === 0) {
      context.err.line(`Nothing found in stack: ${name}`);
      return;
    }
    const services = found.toSorted((a, b) => naturalCompare(a.Spec.Name ?? '', b.Spec.Name ?? ''));
    await printList(context.out, {
      rows: await countedRows(client, services),
      columns: serviceColumns,
      table: ['ID', 'Name', 'Mode', 'Replicas', 'Image', 'Ports'],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? ({ service }) => service.ID.slice(0, 12) : undefined,
    });
  },
};
