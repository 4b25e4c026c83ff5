import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import { list, text } from '../../command/flags.ts';
import { recordOf } from '../../network/options.ts';
import { clusterFlags, clusterSpecOf } from '../../volume/cluster-flags.ts';

const driver = text('driver', 'Specify volume driver name', {
  short: 'd',
  shownDefault: '"local"',
});
const label = list('label', 'Set metadata for a volume');
const opt = list('opt', 'Set driver specific options', {
  word: 'map',
  shownDefault: 'map[]',
  short: 'o',
});

export const command: Command = {
  usage: '[OPTIONS] [VOLUME]',
  flags: [driver, label, opt, ...clusterFlags],
  args: between(0, 1),
  async run(context, [name = ''], flags) {
    const spec = clusterSpecOf(flags);
    const created = await connect(context).json<{ Name: string }>('POST', '/volumes/create', {
      body: {
        Name: name,
        Driver: flags.get(driver) ?? '',
        DriverOpts: recordOf(flags.get(opt)),
        Labels: recordOf(flags.get(label)),
        ...(spec === undefined ? {} : { ClusterVolumeSpec: spec }),
      },
    });
    context.out.line(created.Name);
  },
};
