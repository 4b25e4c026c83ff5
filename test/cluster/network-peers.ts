/** Asking services of the image `peer` from hosts and from inside containers. */
import type { Place } from '../wires/wires.ts';
import { Wires } from '../wires/wires.ts';
import type { Host } from '../lab/index.ts';
import type { TaskView, TestSwarm } from './swarm.ts';

interface WireTask {
  readonly ID: string;
  readonly Status: { readonly ContainerStatus?: { readonly ContainerID?: string } };
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec: { readonly Name: string } };
    readonly Addresses?: readonly string[];
  }[];
}

export const isIpv6 = (address: string) => address.includes(':');

export class Peers extends Wires {
  /** The network of the test itself: a neighbour of the hosts that is no node. */
  readonly outside: Place = { name: 'outside', path: '/proc/self/ns/net' };

  onHost(host: Host): Place {
    return { name: host.name, path: `/proc/${host.daemonPid}/ns/net` };
  }

  inTask(swarm: TestSwarm, task: TaskView): Place {
    return { name: task.id, path: `/proc/${swarm.pidOf(task)}/ns/net` };
  }

  /** Who answers there, and whom they see, asked so often; sorted, each once. */
  async seenBy(place: Place, host: string, port: number, times = 24): Promise<readonly string[]> {
    const seen = new Set<string>();
    for (let asked = 0; asked < times; asked++) {
      seen.add(await this.ask(place, host, port, 5000));
    }
    return [...seen].toSorted();
  }

  /** The same by UDP: each time from another port, as another client. */
  async seenByUdp(place: Place, host: string, port: number, times = 24) {
    const seen = new Set<string>();
    for (let asked = 0; asked < times; asked++) {
      const client = this.udp(place, isIpv6(host) ? 6 : 4);
      seen.add(await this.askUdp(client, host, port, 5000));
    }
    return [...seen].toSorted();
  }
}

/** The addresses of a service's tasks on a network, by the task's id. */
export async function addressesOf(
  swarm: TestSwarm,
  service: string,
  network: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
  const tasks = await swarm.manager.api<WireTask[]>('GET', `/tasks?filters=${filters}`);
  return new Map(
    tasks.map(({ ID, NetworksAttachments = [] }) => {
      const on = NetworksAttachments.find(({ Network }) => Network.Spec.Name === network);
      return [ID, (on?.Addresses ?? []).map((cidr) => cidr.split('/')[0] ?? '')];
    }),
  );
}

/** "peer.1" for slot 1: `--hostname '{{.Service.Name}}.{{.Task.Slot}}'`. */
export const namedBySlot = ['--hostname', '{{.Service.Name}}.{{.Task.Slot}}'];

/** Each of so many replicas, as one who sees a client at `source`. */
export function all(service: string, replicas: number, source: string): readonly string[] {
  return Array.from({ length: replicas }, (_, index) => `${service}.${index + 1} ${source}`);
}
