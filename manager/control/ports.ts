/** Ports that are published for the whole cluster belong to one service at a time. */
import { SwarmError } from '../../lib/errors.ts';
import type { PortConfig, Service, ServiceSpec } from '../../types/index.ts';
import { portKey, type StoreView } from '../store/view.ts';

/**
 * Throws `invalid-argument`, in Docker's words, when a port of `spec` is taken by another service
 * than `ownId`. Host-mode ports of several services may be the same: the scheduler keeps them on
 * different nodes. An ingress port is taken on every node.
 */
export function checkPortConflicts(view: StoreView, spec: ServiceSpec, ownId?: string): void {
  const wanted = (spec.endpoint?.ports ?? []).filter((port) => (port.publishedPort ?? 0) !== 0);
  if (wanted.length === 0) return;
  const all = new Set(wanted.map(portKey));
  const ingress = new Set(wanted.filter(isIngress).map(portKey));
  for (const service of view.services()) {
    if (service.id === ownId) continue;
    for (const port of portsOf(service)) {
      const key = portKey(port);
      if (isIngress(port) ? !all.has(key) : !ingress.has(key)) continue;
      throw new SwarmError(
        'invalid-argument',
        `port '${port.publishedPort}' is already in use by service '${service.spec.name}' ` +
          `(${service.id}) as ${isIngress(port) ? 'an ingress port' : 'a host-published port'}`,
      );
    }
  }
}

function portsOf(service: Service): readonly PortConfig[] {
  return [...(service.spec.endpoint?.ports ?? []), ...(service.ports ?? [])].filter(
    (port) => (port.publishedPort ?? 0) !== 0,
  );
}

function isIngress(port: PortConfig): boolean {
  return port.publishMode === 'ingress';
}
