import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import { commandError } from '../../command/errors.ts';
import { changeService } from '../../service/change.ts';
import { findService } from '../../service/lookup.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';

export const command: Command = {
  usage: '[OPTIONS] SERVICE',
  flags: [detachFlag, quietProgressFlag, timeoutFlag],
  args: exactly(1),
  async run(context, [reference = ''], flags) {
    const client = connect(context);
    const service = await findService(client, reference);
    if (service.JobStatus === undefined) {
      throw commandError(
        `service ${reference} is no job and no cron service: it runs all the time`,
      );
    }
    const { sinceVersion } = await changeService(
      context,
      client,
      service,
      (spec) => {
        spec.task.forceUpdate += 1;
      },
      { registryAuthFrom: 'spec' },
    );
    context.out.line(reference);
    if (flags.get(detachFlag)) return;
    await waitConverged(context, client, service.ID, {
      name: reference,
      quiet: flags.get(quietProgressFlag) ?? false,
      timeoutMs: flags.get(timeoutFlag),
      sinceVersion,
      afterIteration: service.JobStatus.JobIteration?.Index ?? 0,
    });
  },
};
