import type { PreviewChange } from '../../../types/index.ts';
import { connect } from '../../client/index.ts';
import type { Command } from '../../command/command.ts';
import { planLong, plannedFlags, tellPreview } from '../../plan/preview.ts';
import { editedSpec } from '../../service/change.ts';
import { findService } from '../../service/lookup.ts';
import { command as real, replicasOf, scaling, splitOperand } from '../service/scale.ts';

export const command: Command = {
  usage: real.usage,
  flags: (context) => plannedFlags(real, context),
  args: real.args,
  long: planLong,
  async run(context, operands, flags) {
    const client = connect(context);
    const changes: PreviewChange[] = [];
    for (const [reference, count] of operands.map(splitOperand)) {
      const service = await findService(client, reference);
      const spec = await editedSpec(service, scaling(replicasOf(count)));
      changes.push({ action: 'update', service: service.ID, spec });
    }
    await tellPreview(context, client, changes, flags);
  },
};
