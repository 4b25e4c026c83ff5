import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import { changeService } from '../../service/change.ts';
import { findService } from '../../service/lookup.ts';
import { isCron } from '../../service/service-list.ts';
import { whenLed } from '../../service/patience.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';

export const command: Command = {
  usage: '[OPTIONS] SERVICE',
  flags: [detachFlag, quietProgressFlag, timeoutFlag],
  args: exactly(1),
  async run(context, [reference = ''], flags) {
    const client = connect(context);
    const service = await whenLed(context.clock, () => findService(client, reference));
    const { warnings, sinceVersion } = await changeService(
      context,
      client,
      service,
      () => undefined,
      { rollback: true, registryAuthFrom: 'previous-spec' },
    );
    for (const warning of warnings) context.err.line(warning);
    context.out.line(reference);
    if (flags.get(detachFlag) || isCron(service)) return;
    await waitConverged(context, client, service.ID, {
      name: reference,
      quiet: flags.get(quietProgressFlag) ?? false,
      rollback: true,
      timeoutMs: flags.get(timeoutFlag),
      sinceVersion,
    });
  },
};
