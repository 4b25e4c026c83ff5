/** POST /containers/{id}/update: other limits, and another restart policy. */
import { SwarmError } from '../../lib/errors.ts';
import { updateDocument, type HostDocument, type UpdateDocument } from '../../types/index.ts';
import { checkContainer } from '../../worker/container/checks.ts';
import { ownOf, type Target } from '../../worker/container/manager.ts';
import type { LimitChanges } from '../../worker/runtime/controls.ts';
import type { Exchange } from '../exchange.ts';
import type { RouteModules } from './modules.ts';

const cpuPeriodUs = 100_000;

export async function updateContainer(
  exchange: Exchange,
  target: Target,
  { backend }: RouteModules,
): Promise<void> {
  const own = ownOf(target, 'updated');
  const update = await exchange.body(updateDocument);
  const { record, state } = own;
  const host = updated(record.host, update);
  const { cpus } = await backend.system.info();
  checkContainer(record.config, host, { cpus });
  if (update.restartPolicy?.name && record.host.autoRemove) {
    throw new SwarmError(
      'aborted',
      'Restart policy cannot be updated because AutoRemove is enabled for the container',
    );
  }
  if (['running', 'paused'].includes(state.status)) {
    await backend.containers.inside.updateLimits(own.id, changesOf(update, host));
  }
  own.change((before) => ({ ...before, host }));
  backend.containers.events.tell('update', own.record);
  exchange.json({ Warnings: null });
}

/** Zero and empty mean "as it is", as in Docker. */
function updated(host: HostDocument, update: UpdateDocument): HostDocument {
  const { restartPolicy, pidsLimit, ...numbers } = update;
  const given = Object.fromEntries(
    Object.entries(numbers).filter(([, value]) => value !== 0 && value !== ''),
  ) as Partial<HostDocument>;
  const usesQuota = (update.cpuQuota ?? 0) > 0 || (update.cpuPeriod ?? 0) > 0;
  if (usesQuota && host.nanoCpus > 0) {
    throw new SwarmError(
      'aborted',
      'Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set',
    );
  }
  if ((update.nanoCpus ?? 0) > 0 && (host.cpuQuota > 0 || host.cpuPeriod > 0)) {
    throw new SwarmError(
      'aborted',
      'Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set',
    );
  }
  return {
    ...host,
    ...given,
    ...(pidsLimit === undefined ? {} : { pidsLimit }),
    ...(restartPolicy?.name ? { restartPolicy } : {}),
  };
}

function changesOf(update: UpdateDocument, host: HostDocument): LimitChanges {
  const quotaUs = update.nanoCpus
    ? Math.round((update.nanoCpus * cpuPeriodUs) / 1e9)
    : update.cpuQuota;
  const periodUs = update.nanoCpus ? cpuPeriodUs : update.cpuPeriod;
  const cpu = {
    ...(update.cpuShares ? { shares: update.cpuShares } : {}),
    ...(periodUs ? { periodUs } : {}),
    ...(quotaUs ? { quotaUs } : {}),
    ...(update.cpusetCpus ? { cpus: update.cpusetCpus } : {}),
    ...(update.cpusetMems ? { mems: update.cpusetMems } : {}),
  };
  const pids = update.pidsLimit;
  return {
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(update.memory ? { memoryBytes: update.memory } : {}),
    // The kernel refuses a limit of memory above that of memory and swap together.
    ...(update.memory || update.memorySwap ? { memorySwapBytes: host.memorySwap } : {}),
    ...(update.memoryReservation ? { memoryReservationBytes: update.memoryReservation } : {}),
    ...(pids === undefined ? {} : { pids: pids <= 0 ? -1 : pids }),
    ...(update.blkioWeight ? { blkioWeight: update.blkioWeight } : {}),
  };
}
