/**
 * What a service's containers may do beyond Docker's services. Kept as labels of the container:
 * Docker's API has no word for it, labels come through every client unharmed, and as a part of the
 * container's spec they go with its tasks, and a change of them rolls the service.
 */
import type { ContainerSpec } from './task-spec.ts';

export const privilegedLabel = 'ts-swarm.privileged';
/** `/dev/fuse,/dev/ttyUSB0:/dev/modem:rw` */
export const devicesLabel = 'ts-swarm.devices';

/** Labels of the swarm: "true" lets services have what the name says. */
export const allowPrivilegedLabel = 'ts-swarm.allow-privileged';
export const allowDevicesLabel = 'ts-swarm.allow-devices';

/** A device of the host that a container is given. */
export interface DeviceMapping {
  readonly pathOnHost: string;
  readonly pathInContainer: string;
  /** Of "rwm". */
  readonly permissions: string;
  /** In the place of the host's. */
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

type Labelled = Pick<ContainerSpec, 'labels'>;
type SwarmLabels = Readonly<Record<string, string>>;

export function isPrivileged({ labels }: Labelled): boolean {
  return labels?.[privilegedLabel] === 'true';
}

/** Of a spec that is good; what is no device is passed over. */
export function devicesOf({ labels }: Labelled): readonly DeviceMapping[] {
  const text = labels?.[devicesLabel] ?? '';
  return text.split(',').flatMap((part) => parseDevice(part) ?? []);
}

/** `/dev/a[:/dev/b][:rwm]`; undefined for what is none. */
export function parseDevice(text: string): DeviceMapping | undefined {
  const [, host, inside = host, permissions = 'rwm'] =
    /^(\/[^:,]+?)(?::(\/[^:,]+))?(?::([rwm]{1,3}))?$/.exec(text.trim()) ?? [];
  if (host === undefined || inside === undefined) return undefined;
  return { pathOnHost: host, pathInContainer: inside, permissions };
}

export function deviceText({ pathOnHost, pathInContainer, permissions }: DeviceMapping): string {
  return [
    pathOnHost,
    ...(pathInContainer === pathOnHost ? [] : [pathInContainer]),
    ...(permissions === 'rwm' ? [] : [permissions]),
  ].join(':');
}

/**
 * Why the swarm with these labels runs no such container; undefined where it does. A privileged
 * container has every device anyway, so that a swarm that allows those allows devices.
 */
export function whyForbidden(
  container: Labelled | undefined,
  swarm: SwarmLabels = {},
): string | undefined {
  if (container === undefined || swarm[allowPrivilegedLabel] === 'true') return undefined;
  if (isPrivileged(container)) {
    return (
      'this swarm does not allow privileged containers; ' +
      '"ts-swarm swarm update --allow-privileged" lets all services ask for them'
    );
  }
  if (devicesOf(container).length === 0 || swarm[allowDevicesLabel] === 'true') return undefined;
  return (
    "this swarm does not allow services to have nodes' devices; " +
    '"ts-swarm swarm update --allow-devices" lets all services ask for them'
  );
}
