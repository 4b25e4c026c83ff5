/** POST /containers/{id}/update: other limits, and another restart policy. */
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { updateDocument, type HostDocument, type UpdateDocument } from '../../types/index.ts';
import { deviceLimits, keptBlockIo } from '../../worker/container/block-io.ts';
import { ownOf, type Target } from '../../worker/container/manager.ts';
import { memoryMin } from '../../worker/container/checks.ts';
import { isOfBlockWeights, noBlockWeights } from '../../worker/container/start-failure.ts';
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
  const asked = await exchange.body(updateDocument);
  refuseDeviceLimits(asked);
  const { blockSupport } = await backend.system.info();
  const { kept: update, warnings } = keptBlockIo(asked, blockSupport);
  const { record, state } = own;
  const host = updated(record.host, update, record.id);
  backend.containers.check(record.config, host);
  if (update.restartPolicy?.name && record.host.autoRemove) {
    throw new SwarmError(
      'aborted',
      'Restart policy cannot be updated because AutoRemove is enabled for the container',
    );
  }
  if (['running', 'paused'].includes(state.status)) {
    try {
      await backend.containers.inside.updateLimits(own.id, changesOf(update, host));
    } catch (error) {
      if (!update.blkioWeight || !isOfBlockWeights(messageOf(error))) throw error;
      throw new SwarmError('unimplemented', noBlockWeights, { cause: error });
    }
  }
  own.change((before) => ({ ...before, host }));
  backend.containers.events.tell('update', own.record);
  exchange.json({ Warnings: warnings.length === 0 ? null : warnings });
}

function refuseDeviceLimits(update: UpdateDocument): void {
  if (deviceLimits.every((limit) => (update[limit]?.length ?? 0) === 0)) return;
  throw new SwarmError(
    'unimplemented',
    'limits of single block devices are set when a container is made: make another with them',
  );
}

/** Zero and empty mean "as it is", as in Docker. */
function updated(host: HostDocument, update: UpdateDocument, id: string): HostDocument {
  const { restartPolicy, pidsLimit, ...others } = update;
  const given = Object.fromEntries(
    Object.entries(others).filter(([, value]) => value !== 0 && value !== '' && value !== null),
  ) as Partial<HostDocument>;
  checkConflicts(host, update, id);
  return {
    ...host,
    ...given,
    ...(pidsLimit === undefined ? {} : { pidsLimit }),
    ...(restartPolicy?.name ? { restartPolicy } : {}),
  };
}

/** CPUs are limited in one of two ways; a limit of swap counts memory as well. */
function checkConflicts(host: HostDocument, update: UpdateDocument, id: string): void {
  const set = (value: number | undefined) => (value ?? 0) > 0;
  const { memory = 0 } = update;
  const conflicts: readonly (readonly [boolean, string])[] = [
    [
      // What is too little anyway is told so below.
      !update.memorySwap && host.memorySwap >= 0 && memory >= memoryMin && memory > host.memorySwap,
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap ' +
        'at the same time',
    ],
    [set(update.nanoCpus) && set(host.cpuPeriod), alreadySet('Nano CPUs', 'CPU Period')],
    [set(update.nanoCpus) && set(host.cpuQuota), alreadySet('Nano CPUs', 'CPU Quota')],
    [set(update.cpuQuota) && set(host.nanoCpus), alreadySet('CPU Quota', 'NanoCPUs')],
    [set(update.cpuPeriod) && set(host.nanoCpus), alreadySet('CPU Period', 'NanoCPUs')],
  ];
  const found = conflicts.find(([is]) => is);
  if (found !== undefined) {
    throw new SwarmError('aborted', `Cannot update container ${id}: ${found[1]}`);
  }
}

function alreadySet(one: string, other: string): string {
  return `Conflicting options: ${one} cannot be updated as ${other} has already been set`;
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
