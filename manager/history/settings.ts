/** What the history says of the swarm's settings, and of its volumes. */
import { fieldChanges } from '../preview/fields.ts';
import { swarmSpec, type FieldChange, type HistoryRecord } from '../../types/index.ts';
import type { PastSwarm, Record } from './history.ts';

export type Told = Pick<HistoryRecord, 'name' | 'by' | 'text'>;

export function changeText({ path, from, to }: FieldChange): string {
  if (from === undefined) return `${path} added: ${to}`;
  return to === undefined ? `${path} removed: ${from}` : `${path} ${from} → ${to}`;
}

/** Where it is mounted is not told: that follows its tasks. */
export function tellVolume({ before, after }: Record & { kind: 'volume' }): Told | undefined {
  const name = (after ?? before)?.spec.name ?? '';
  const by = 'command';
  if (after === undefined) {
    // Its driver has deleted it, as somebody wished before.
    if (before?.isRemoved === true) return { name, by: 'managers', text: 'forgotten' };
    return { name, by, text: 'removed' };
  }
  if (before === undefined) {
    return { name, by, text: `created: driver ${after.spec.driver.name ?? ''}` };
  }
  if (after.isForced && !before.isForced) return { name, by, text: 'removed by force' };
  if (after.isRemoved && !before.isRemoved) return { name, by, text: 'removed' };
  const [was, is] = [before.spec.cluster.availability, after.spec.cluster.availability];
  return was === is ? undefined : { name, by, text: `availability ${was} → ${is}` };
}

export function tellSwarm({ before, after }: Record & { kind: 'swarm' }): Told | undefined {
  const name = (after ?? before)?.spec.name ?? '';
  if (after === undefined) return undefined;
  if (before === undefined) return { name, by: 'command', text: 'the swarm was made' };
  const changes = fieldChanges(swarmSpec.encode(before.spec), swarmSpec.encode(after.spec));
  const rotated = rotations(before, after);
  const parts = [
    ...(changes.length === 0 ? [] : [`updated: ${changes.map(changeText).join('; ')}`]),
    ...(rotated.length === 0 ? [] : [`rotated: ${rotated.join(', ')}`]),
  ];
  if (parts.length > 0) return { name, by: 'command', text: parts.join('; ') };
  if (before.rootCertPem === after.rootCertPem) return undefined;
  return { name, by: 'managers', text: 'every node trusts the new root certificate' };
}

function rotations(before: PastSwarm, after: PastSwarm): readonly string[] {
  // With a new root come new tokens, which nobody has asked for by themselves.
  const isSameRoot = before.rootCertPem === after.rootCertPem;
  const isLocked = after.spec.encryption.autoLockManagers;
  const wasLocked = before.spec.encryption.autoLockManagers;
  return [
    ...(isSameRoot && before.workerToken !== after.workerToken ? ['join token of workers'] : []),
    ...(isSameRoot && before.managerToken !== after.managerToken ? ['join token of managers'] : []),
    ...(isLocked && wasLocked && before.lockVersion !== after.lockVersion ? ['unlock key'] : []),
    ...(before.networkKeyRotation === after.networkKeyRotation ? [] : ['keys of networks']),
  ];
}
