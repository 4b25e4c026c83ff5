import { stackLabel } from '../../../compose/index.ts';
import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { formatFlag } from '../../command/common-flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { naturalCompare } from '../../format/units.ts';
import { listServices } from '../../service/lookup.ts';

interface Row {
  readonly name: string;
  readonly services: number;
}

const columns: Readonly<Record<string, Column<Row>>> = {
  Name: { header: 'NAME', value: ({ name }) => name },
  Services: { header: 'SERVICES', value: ({ services }) => String(services) },
};

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [formatFlag],
  args: noArgs,
  async run(context, _args, flags) {
    const services = await listServices(connect(context), { label: [stackLabel] });
    const counts = new Map<string, number>();
    for (const { Spec } of services) {
      const name = Spec.Labels?.[stackLabel] ?? '';
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const rows = [...counts]
      .map(([name, count]) => ({ name, services: count }))
      .toSorted((a, b) => naturalCompare(a.name, b.name));
    await printList(context.out, {
      rows,
      columns,
      table: ['Name', 'Services'],
      format: flags.get(formatFlag),
    });
  },
};
