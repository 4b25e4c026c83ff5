import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import { changeService } from '../../service/change.ts';
import { findService } from '../../service/lookup.ts';
import { whenLed } from '../../service/patience.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';

export const command: Command = {
  usage: '[OPTIONS] SERVICE [SERVICE...]',
  flags: [detachFlag, quietProgressFlag, timeoutFlag],
  args: atLeast(1),
  long:
    'Replaces every task by a new one of the same spec, as many at a time and in the order that ' +
    "the service's update policy says. Only the counter that `service update --force` raises " +
    'differs afterwards. Services are restarted one after the other, unless with --detach; the ' +
    'first that does not converge ends the command.',
  async run(context, references, flags) {
    const client = connect(context);
    for (const reference of references) {
      try {
        const service = await whenLed(context.clock, () => findService(client, reference));
        const { warnings, sinceVersion } = await changeService(context, client, service, (spec) => {
          spec.task.forceUpdate += 1;
        });
        for (const warning of warnings) context.err.line(warning);
        context.out.line(reference);
        if (flags.get(detachFlag)) continue;
        await waitConverged(context, client, service.ID, {
          name: reference,
          quiet: flags.get(quietProgressFlag) ?? false,
          timeoutMs: flags.get(timeoutFlag),
          sinceVersion,
        });
      } catch (error) {
        throw new SwarmError('failed-precondition', `${reference}: ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
  },
};
