import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import { commandError } from '../../command/errors.ts';
import { unsigned } from '../../command/flags.ts';
import { refuseScaling } from '../../service/autoscale-flags.ts';
import { splitPair } from '../../format/parse.ts';
import { findService } from '../../service/lookup.ts';
import { whenLed } from '../../service/patience.ts';
import { changeService, type SpecEdit } from '../../service/change.ts';
import { isCron } from '../../service/service-list.ts';
import { timeoutFlag, waitConverged } from '../../service/wait.ts';

export const command: Command = {
  usage: 'SERVICE=REPLICAS [SERVICE=REPLICAS...]',
  flags: [detachFlag, quietProgressFlag, timeoutFlag],
  args: atLeast(1),
  async run(context, operands, flags) {
    const wanted = operands.map(splitOperand);
    const client = connect(context);
    const errors: string[] = [];
    const scaled: { id: string; reference: string; sinceVersion: number }[] = [];
    for (const [reference, count] of wanted) {
      try {
        const replicas = replicasOf(count);
        const service = await whenLed(context.clock, () => findService(client, reference));
        const edit = scaling(replicas);
        const { sinceVersion } = await changeService(context, client, service, edit);
        context.out.line(`${reference} scaled to ${replicas}`);
        if (!isCron(service)) scaled.push({ id: service.ID, reference, sinceVersion });
      } catch (error) {
        errors.push(`${reference}: ${messageOf(error)}`);
      }
    }
    for (const { id, reference, sinceVersion } of flags.get(detachFlag) ? [] : scaled) {
      if (scaled.length > 1) context.out.line(reference);
      try {
        await waitConverged(context, client, id, {
          name: reference,
          quiet: flags.get(quietProgressFlag) ?? false,
          timeoutMs: flags.get(timeoutFlag),
          sinceVersion,
        });
      } catch (error) {
        errors.push(SwarmError.from(error).message);
      }
    }
    if (errors.length > 0) throw new SwarmError('failed-precondition', errors.join('\n'));
  },
};

const replicasFlag = unsigned('replicas', '');

export function splitOperand(operand: string): readonly [string, string] {
  const [reference, count] = splitPair(operand);
  if (count !== undefined && reference !== '') return [reference, count];
  throw commandError(
    `invalid scale specifier '${operand}'.\n` +
      `See 'ts-swarm service scale --help'.\n\n` +
      `Usage:  ts-swarm service scale ${command.usage}\n\n` +
      'Scale one or multiple replicated services',
  );
}

export function replicasOf(count: string): number {
  try {
    return replicasFlag.parse(count, undefined);
  } catch (error) {
    throw commandError(`invalid replicas value ${count}: ${messageOf(error)}`);
  }
}

/** Sets the replicas of a service that has some. */
export function scaling(replicas: number): SpecEdit {
  return (spec) => {
    refuseScaling(spec);
    const { replicated, replicatedJob } = spec.mode;
    if (replicated !== undefined) replicated.replicas = replicas;
    else if (replicatedJob !== undefined) replicatedJob.totalCompletions = replicas;
    else throw commandError('scale can only be used with replicated or replicated-job mode');
  };
}
