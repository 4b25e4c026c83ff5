import { SwarmError } from '../../../lib/errors.ts';
import { connect, type Client } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { detachFlag, quietProgressFlag } from '../../command/common-flags.ts';
import type { Context } from '../../command/context.ts';
import { usageError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { goDuration } from '../../format/units.ts';
import { planFormatFlag, tellPreview } from '../../plan/preview.ts';
import { findService, listServices } from '../../service/lookup.ts';
import { patiently, whenLed } from '../../service/patience.ts';
import { timeoutFlag } from '../../service/wait.ts';

const pollMs = 200;
const defaultTimeoutMs = 5 * 60_000;

const all = bool('all', 'Every service that can be rebalanced');
const preview = bool('preview', 'Say what would be moved, and move nothing');

export const command: Command = {
  usage: '[OPTIONS] SERVICE [SERVICE...] | --all',
  flags: [all, detachFlag, planFormatFlag, preview, quietProgressFlag, timeoutFlag],
  args: atLeast(0),
  long:
    'Moves tasks from nodes that have two or more of a service more than others could have, as ' +
    'many at a time as its update parallelism says. A new task runs before the old one is told ' +
    'to stop. Tasks that keep data in volumes of their nodes stay. With --preview it ends with 0 ' +
    'where nothing would be moved, and with 2 where something would.',
  async run(context, operands, flags) {
    if (operands.length > 0 === (flags.get(all) === true)) {
      throw usageError("name services, or --all\nSee 'ts-swarm service rebalance --help'.");
    }
    if (flags.has(planFormatFlag) && flags.get(preview) !== true) {
      throw usageError('--format goes with --preview only');
    }
    const client = connect(context);
    const references = operands.length > 0 ? operands : await movable(client);
    if (flags.get(preview) === true) {
      const changes = references.map((service) => ({ action: 'rebalance', service }) as const);
      await tellPreview(context, client, changes, flags);
      return;
    }
    for (const reference of references) {
      const { ID } = await whenLed(context.clock, () => findService(client, reference));
      await client.json('POST', `/services/${ID}/rebalance`);
      context.out.line(reference);
      if (flags.get(detachFlag) === true) continue;
      const isQuiet = flags.get(quietProgressFlag) === true;
      await settled(context, client, reference, { isQuiet, timeoutMs: flags.get(timeoutFlag) });
    }
  },
};

interface WireMount {
  readonly Type?: string;
  readonly Source?: string;
}

/** Those that the managers would not refuse: replicated, and without data on their nodes. */
async function movable(client: Client): Promise<readonly string[]> {
  const services = await listServices(client);
  return services
    .filter(({ Spec }) => {
      const mounts = (Spec.TaskTemplate.ContainerSpec as { Mounts?: WireMount[] } | undefined)
        ?.Mounts;
      const held = mounts?.some(({ Type, Source = '' }) => Type === 'volume' && Source !== '');
      return Spec.Mode?.Replicated !== undefined && held !== true;
    })
    .map(({ ID, Spec }) => Spec.Name ?? ID);
}

async function settled(
  context: Context,
  client: Client,
  reference: string,
  { isQuiet, timeoutMs = defaultTimeoutMs }: { isQuiet: boolean; timeoutMs: number | undefined },
): Promise<void> {
  const { clock, out } = context;
  const interrupted = new AbortController();
  using _interrupt = context.onInterrupt(() => interrupted.abort());
  const startMs = clock.monotonicMs();
  for (;;) {
    const service = await patiently(clock, () => findService(client, reference));
    const { State: state, Message: message = '' } = service.Rebalance ?? {};
    if (state === undefined) {
      if (!isQuiet) out.line(`${reference} is spread evenly`);
      return;
    }
    if (state === 'stopped') {
      throw new SwarmError('failed-precondition', `${reference} was not moved further: ${message}`);
    }
    if (interrupted.signal.aborted) {
      out.line('Operation continuing in background.');
      return;
    }
    if (timeoutMs > 0 && clock.monotonicMs() - startMs >= timeoutMs) {
      const after = goDuration(timeoutMs);
      throw new SwarmError(
        'failed-precondition',
        `${reference} is still being moved after ${after}: see \`ts-swarm explain ${reference}\``,
      );
    }
    await clock.sleep(pollMs);
  }
}
