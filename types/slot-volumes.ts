/**
 * A replica's volumes are on the node where they were made. Whether the replica of the same slot goes
 * back there is told by a label: Docker's API has no word for it, and labels come through every
 * client unharmed.
 */
import type { ServiceSpec } from './specs.ts';
import type { ContainerSpec, Mount } from './task-spec.ts';

const prefix = 'ts-swarm.volumes.';
export const followLabel = `${prefix}follow`;

/** `prefer`: where that node can take it; `require`: else it waits; `ignore`: as without volumes. */
export const followPolicies = ['prefer', 'require', 'ignore'] as const;
type FollowPolicy = (typeof followPolicies)[number];

/** The policy of a spec that is good. */
export function followPolicyOf({ labels }: Pick<ServiceSpec, 'labels'>): FollowPolicy {
  return followPolicies.find((policy) => policy === labels[followLabel]) ?? 'prefer';
}

/** Labels that are meant for volumes, whether there is such a setting or not. */
export function volumeLabelsOf({ labels }: Pick<ServiceSpec, 'labels'>): [string, string][] {
  return Object.entries(labels).filter(([key]) => key.startsWith(prefix));
}

/** The mounts whose content stays on the node: named volumes of its own disk. */
export function stayingVolumesOf(container: ContainerSpec | undefined): readonly Mount[] {
  return (container?.mounts ?? []).filter(
    ({ type, source, volumeOptions }) =>
      type === 'volume' && !!source && staysOnNode(volumeOptions?.driverConfig),
  );
}

/** Neither of another driver, nor in memory, nor on a file server. */
export function staysOnNode(
  driver:
    | { readonly name?: string; readonly options?: Readonly<Record<string, string>> | null }
    | undefined,
): boolean {
  const { name = '', options } = driver ?? {};
  return ['', 'local'].includes(name) && ['', 'none'].includes(options?.['type'] ?? '');
}
