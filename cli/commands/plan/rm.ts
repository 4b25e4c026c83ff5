import { connect } from '../../client/index.ts';
import type { Command } from '../../command/command.ts';
import { planLong, plannedFlags, tellPreview } from '../../plan/preview.ts';
import { command as real } from '../service/rm.ts';

export const command: Command = {
  usage: real.usage,
  flags: (context) => plannedFlags(real, context),
  args: real.args,
  long: planLong,
  async run(context, references, flags) {
    const changes = references.map((service) => ({ action: 'remove', service }) as const);
    await tellPreview(context, connect(context), changes, flags);
  },
};
