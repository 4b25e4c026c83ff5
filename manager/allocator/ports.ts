/** Published ports: what the spec leaves open is filled in, from what is free in the cluster. */
import { portKey, type StoreView } from '../store/view.ts';
import type { PortConfig, Service } from '../../types/index.ts';

/** Where the swarm looks for a port when the user names none. */
export const firstAutoPort = 30_000;
export const lastAutoPort = 32_767;

export interface PortAllocation {
  /** The service with its ports filled in; the same object where nothing changes. */
  readonly service: Service;
  /** Why the ports could not be filled in; the service's tasks wait until they can. */
  readonly reason?: string;
}

/**
 * @param taken ingress ports that the same plan has given to other services, by port key; what
 *   this call gives out is added.
 */
export function allocatePorts(
  view: StoreView,
  service: Service,
  taken: Map<string, string>,
): PortAllocation {
  const asked = service.spec.endpoint?.ports ?? [];
  const own = new Set<string>();
  const ownerOf = (key: string) => {
    const owner = taken.get(key) ?? view.ingressPortOwner(key)?.id;
    return owner === service.id ? undefined : owner;
  };
  for (const port of asked) {
    if (!isIngress(port) || isOpen(port)) continue;
    const owner = ownerOf(portKey(port));
    if (owner !== undefined) return { service, reason: conflict(view, port, owner) };
    own.add(portKey(port));
  }
  const before = (service.ports ?? []).filter((port) => isIngress(port) && !isOpen(port));
  const filled: PortConfig[] = [];
  for (const port of asked) {
    if (!isIngress(port) || !isOpen(port)) {
      filled.push(port);
      continue;
    }
    const free = (candidate: PortConfig) =>
      !own.has(portKey(candidate)) && ownerOf(portKey(candidate)) === undefined;
    const chosen = keep(port, before, free) ?? firstFree(port, free);
    if (chosen === undefined) return { service, reason: exhausted(port) };
    own.add(portKey(chosen));
    filled.push(chosen);
  }
  for (const key of own) taken.set(key, service.id);
  return samePorts(filled, service.ports ?? [])
    ? { service }
    : { service: { ...service, ports: filled } };
}

/** An open port keeps the number that it was given before. */
function keep(
  port: PortConfig,
  before: readonly PortConfig[],
  free: (candidate: PortConfig) => boolean,
): PortConfig | undefined {
  const number = before.find(
    (old) =>
      old.targetPort === port.targetPort &&
      old.protocol === port.protocol &&
      free({ ...port, publishedPort: old.publishedPort ?? 0 }),
  )?.publishedPort;
  return number === undefined ? undefined : { ...port, publishedPort: number };
}

function firstFree(
  port: PortConfig,
  free: (candidate: PortConfig) => boolean,
): PortConfig | undefined {
  for (let number = firstAutoPort; number <= lastAutoPort; number++) {
    const candidate = { ...port, publishedPort: number };
    if (free(candidate)) return candidate;
  }
  return undefined;
}

function samePorts(a: readonly PortConfig[], b: readonly PortConfig[]): boolean {
  return (
    a.length === b.length &&
    a.every((port, index) => {
      const other = b[index];
      return (
        other !== undefined &&
        portKey(port) === portKey(other) &&
        port.targetPort === other.targetPort &&
        port.publishMode === other.publishMode &&
        port.name === other.name
      );
    })
  );
}

function isIngress(port: PortConfig): boolean {
  return port.publishMode === 'ingress';
}

function isOpen(port: PortConfig): boolean {
  return (port.publishedPort ?? 0) === 0;
}

function conflict(view: StoreView, port: PortConfig, owner: string): string {
  const name = view.service(owner)?.spec.name ?? owner;
  return `port '${port.publishedPort}' is already in use by service '${name}' as an ingress port`;
}

function exhausted(port: PortConfig): string {
  return `no ${port.protocol} port between ${firstAutoPort} and ${lastAutoPort} is free`;
}
