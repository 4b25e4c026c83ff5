import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { oneOf } from '../../command/flags.ts';
import { findVolume } from '../../volume/wire.ts';

const availability = oneOf(
  'availability',
  'Cluster Volume availability',
  ['active', 'pause', 'drain'],
  { word: 'string' },
);

export const command: Command = {
  usage: '[OPTIONS] VOLUME',
  flags: [availability],
  args: exactly(1),
  async run(context, [name = ''], flags) {
    const client = connect(context);
    const { ClusterVolume: volume } = await findVolume(client, name);
    if (volume === undefined) {
      throw commandError(
        `${name} is a volume of one node: only cluster volumes, of a CSI driver, can be updated`,
      );
    }
    const Availability = flags.get(availability) ?? volume.Spec.Availability;
    await client.json('PUT', `/volumes/${volume.ID}`, {
      query: { version: volume.Version.Index },
      body: { Spec: { ...volume.Spec, Availability } },
    });
    context.out.line(name);
  },
};
