import { connect } from '../../client/index.ts';
import type { Command } from '../../command/command.ts';
import { planLong, plannedFlags, tellPreview } from '../../plan/preview.ts';
import { editedSpec } from '../../service/change.ts';
import { findService } from '../../service/lookup.ts';
import { command as real, editOf } from '../service/update.ts';

export const command: Command = {
  usage: real.usage,
  flags: (context) => plannedFlags(real, context),
  args: real.args,
  long: planLong,
  async run(context, [reference = ''], flags) {
    const client = connect(context);
    const service = await findService(client, reference);
    const told: string[] = [];
    const { edit, options } = await editOf(context, client, service, flags, told);
    const spec = await editedSpec(service, edit);
    for (const warning of told) context.err.line(warning);
    const change = { action: 'update', service: service.ID, spec } as const;
    const isBack = options.rollback === true;
    await tellPreview(context, client, [isBack ? { ...change, rollback: true } : change], flags);
  },
};
