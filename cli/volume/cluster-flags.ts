/** What makes a volume one of the cluster's, and how it is to be. */
import { bytes, list, oneOf, text } from '../command/flags.ts';
import type { FlagValues } from '../command/flags.ts';
import { recordOf } from '../network/options.ts';

const availability = oneOf(
  'availability',
  'Cluster Volume availability ("active", "pause", "drain")',
  ['active', 'pause', 'drain'],
  { shownDefault: '"active"' },
);
const group = text('group', 'Cluster Volume group (cluster volumes)');
const limitBytes = bytes('limit-bytes', 'Maximum size of the Cluster Volume in bytes');
const requiredBytes = bytes('required-bytes', 'Minimum size of the Cluster Volume in bytes');
const scope = oneOf(
  'scope',
  'Cluster Volume access scope ("single", "multi")',
  ['single', 'multi'],
  { shownDefault: '"single"' },
);
const secret = list('secret', 'Cluster Volume secrets (KEY=SECRET)', {
  word: 'map',
  shownDefault: 'map[]',
});
const sharing = oneOf(
  'sharing',
  'Cluster Volume access sharing ("none", "readonly", "onewriter", "all")',
  ['none', 'readonly', 'onewriter', 'all'],
  { shownDefault: '"none"' },
);
const preferred = list(
  'topology-preferred',
  'A topology that the Cluster Volume would be preferred in',
);
const required = list(
  'topology-required',
  'A topology that the Cluster Volume must be accessible from',
);
const type = oneOf('type', 'Cluster Volume access type ("mount", "block")', ['mount', 'block'], {
  shownDefault: '"block"',
});

export const clusterFlags = [
  availability,
  group,
  limitBytes,
  requiredBytes,
  scope,
  secret,
  sharing,
  preferred,
  required,
  type,
];

/** Docker's ClusterVolumeSpec; undefined where nothing asks for a volume of the cluster. */
export function clusterSpecOf(flags: FlagValues): object | undefined {
  if (clusterFlags.every((flag) => flags.get<unknown>(flag) === undefined)) return undefined;
  const secrets = Object.entries(recordOf(flags.get(secret))).map(([Key, Secret]) => ({
    Key,
    Secret,
  }));
  const requisite = (flags.get(required) ?? []).map(topologyOf);
  const wished = (flags.get(preferred) ?? []).map(topologyOf);
  return {
    Group: flags.get(group) ?? '',
    AccessMode: {
      Scope: flags.get(scope) ?? 'single',
      Sharing: flags.get(sharing) ?? 'none',
      ...(flags.get(type) === 'mount' ? { MountVolume: {} } : { BlockVolume: {} }),
    },
    AccessibilityRequirements: { Requisite: requisite, Preferred: wished },
    CapacityRange: {
      RequiredBytes: flags.get(requiredBytes) ?? 0,
      LimitBytes: flags.get(limitBytes) ?? 0,
    },
    Secrets: secrets.toSorted((a, b) => (a.Key < b.Key ? -1 : 1)),
    Availability: flags.get(availability) ?? 'active',
  };
}

/** `zone=z1,rack=r1` */
function topologyOf(words: string) {
  return { Segments: recordOf(words.split(',')) };
}
