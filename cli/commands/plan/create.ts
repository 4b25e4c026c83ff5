import { connect } from '../../client/index.ts';
import type { Command } from '../../command/command.ts';
import { planLong, plannedFlags, tellPreview } from '../../plan/preview.ts';
import { command as real, drafted } from '../service/create.ts';

export const command: Command = {
  usage: real.usage,
  flags: (context) => plannedFlags(real, context),
  args: real.args,
  passThrough: true,
  long: planLong,
  async run(context, operands, flags) {
    const client = connect(context);
    const { spec, warning } = await drafted(context, client, operands, flags);
    if (warning !== undefined) context.err.line(warning);
    await tellPreview(context, client, [{ action: 'create', spec }], flags);
  },
};
