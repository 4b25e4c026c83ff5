/** A planned call as the driver's node is asked it, with the secrets that go along. */
import { unreachable } from '../../lib/assert.ts';
import { SwarmError } from '../../lib/errors.ts';
import { accessModeOf, type ClusterVolume, type CsiRequest } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import type { VolumeCall } from '../volume/index.ts';

/** Throws `failed-precondition` where a secret of the volume is gone. */
export function requestOf(
  view: Pick<StoreView, 'file' | 'revisions'>,
  { kind, volume, status }: VolumeCall,
): CsiRequest {
  const { info, spec } = volume;
  const driver = spec.driver.name ?? '';
  const secrets = secretsOf(view, volume);
  const volumeId = info?.volumeId ?? '';
  const csiNodeId = status?.csiNodeId ?? '';
  switch (kind) {
    case 'create': {
      const parameters = spec.driver.options ?? {};
      return { method: 'create', driver, name: spec.name, spec: spec.cluster, parameters, secrets };
    }
    case 'delete':
      return { method: 'delete', driver, volumeId, secrets };
    case 'publish':
      return {
        method: 'publish',
        driver,
        volumeId,
        csiNodeId,
        accessMode: accessModeOf(spec.cluster),
        volumeContext: info?.volumeContext ?? {},
        secrets,
      };
    case 'unpublish':
      return { method: 'unpublish', driver, volumeId, csiNodeId, secrets };
    default:
      return unreachable(kind);
  }
}

/** What the driver is given for its own keys: the contents as they are now. */
function secretsOf(
  view: Pick<StoreView, 'file' | 'revisions'>,
  volume: ClusterVolume,
): Readonly<Record<string, string>> {
  const known = knownSecrets(view, volume);
  for (const { key, secret } of volume.spec.cluster.secrets ?? []) {
    if (Object.hasOwn(known, key)) continue;
    throw new SwarmError(
      'failed-precondition',
      `the secret ${secret} of volume ${volume.spec.name} is gone: create one of this name`,
    );
  }
  return known;
}

/** Of those that are gone the driver finds that it lacks their keys. */
export function knownSecrets(
  view: Pick<StoreView, 'file' | 'revisions'>,
  { spec }: ClusterVolume,
): Readonly<Record<string, string>> {
  const entries = (spec.cluster.secrets ?? []).flatMap(({ key, secret }) => {
    const file = view.revisions('secret', secret).at(-1) ?? view.file('secret', secret);
    if (file === undefined) return [];
    return [[key, Buffer.from(file.spec.data ?? '', 'base64').toString('utf8')] as const];
  });
  return Object.fromEntries(entries);
}
