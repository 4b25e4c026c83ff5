/** The table of `service ls`. */
import type { WirePort, WireService } from '../client/wire.ts';
import type { Column } from '../format/list.ts';
import type { Client } from '../client/index.ts';
import { listNodes, listTasks } from './lookup.ts';
import { autoscaleOf, cronLabels } from '../../types/index.ts';
import { shownImage } from './task-list.ts';

export interface ServiceRow {
  readonly service: WireService;
  readonly running: number;
  readonly desired: number;
  readonly completed: number;
}

export const serviceColumns: Readonly<Record<string, Column<ServiceRow>>> = {
  ID: { header: 'ID', value: ({ service }) => service.ID.slice(0, 12) },
  Name: { header: 'NAME', value: ({ service }) => service.Spec.Name ?? '' },
  Mode: { header: 'MODE', value: ({ service }) => modeWord(service) },
  Replicas: { header: 'REPLICAS', value: replicasText },
  Image: {
    header: 'IMAGE',
    value: ({ service }) => shownImage(service.Spec.TaskTemplate.ContainerSpec?.Image ?? ''),
  },
  Ports: {
    header: 'PORTS',
    value: ({ service }) => shownIngressPorts(service.Endpoint?.Ports ?? []),
  },
};

export function isCron({ Spec: spec }: WireService): boolean {
  return spec.Labels?.[cronLabels.schedule] !== undefined;
}

function modeWord(service: WireService): string {
  const mode = service.Spec.Mode ?? {};
  if (isCron(service)) return 'cron';
  if (mode.Global !== undefined) return 'global';
  if (mode.ReplicatedJob !== undefined) return 'replicated job';
  return mode.GlobalJob !== undefined ? 'global job' : 'replicated';
}

function replicasText({ service, running, desired, completed }: ServiceRow): string {
  const job = service.Spec.Mode?.ReplicatedJob;
  const atOnce = job?.MaxConcurrent ?? 0;
  const total = job?.TotalCompletions ?? 0;
  if (job !== undefined) return `${running}/${desired} (${completed}/${total || atOnce} completed)`;
  if (service.Spec.Mode?.GlobalJob !== undefined) {
    return `${running}/${desired} (${completed}/${desired + completed} completed)`;
  }
  const most = service.Spec.TaskTemplate.Placement?.MaxReplicas ?? 0;
  const perNode = most > 0 && service.Spec.Mode?.Replicated ? ` (max ${most} per node)` : '';
  const bounds = autoscaleOf({ labels: service.Spec.Labels ?? {} });
  const scaled = bounds === undefined ? '' : ` (autoscaled ${bounds.min} to ${bounds.max})`;
  return `${running}/${desired}${perNode}${scaled}`;
}

/** `*:8080->80/tcp`; ports that follow each other are drawn as ranges. */
function shownIngressPorts(ports: readonly WirePort[]): string {
  const sorted = ports
    .filter((port) => port.PublishMode === 'ingress' || port.PublishMode === undefined)
    .map((port) => ({
      published: port.PublishedPort ?? 0,
      target: port.TargetPort ?? 0,
      protocol: port.Protocol ?? 'tcp',
    }))
    .sort(
      (a, b) =>
        (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0) ||
        a.published - b.published,
    );
  const ranges: { first: (typeof sorted)[number]; last: (typeof sorted)[number] }[] = [];
  for (const port of sorted) {
    const range = ranges.at(-1);
    const follows =
      range !== undefined &&
      range.last.protocol === port.protocol &&
      range.last.published + 1 === port.published &&
      range.last.target + 1 === port.target;
    if (follows) range.last = port;
    else ranges.push({ first: port, last: port });
  }
  return ranges
    .map(({ first, last }) => {
      const published = span(first.published, last.published);
      return `*:${published}->${span(first.target, last.target)}/${first.protocol}`;
    })
    .join(', ');
}

function span(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** A daemon older than API 1.41 does not count the tasks itself. */
export async function countedRows(
  client: Client,
  services: readonly WireService[],
): Promise<readonly ServiceRow[]> {
  if (services.every(({ ServiceStatus: status }) => status !== undefined)) {
    return services.map((service) => ({
      service,
      running: service.ServiceStatus?.RunningTasks ?? 0,
      desired: service.ServiceStatus?.DesiredTasks ?? 0,
      completed: service.ServiceStatus?.CompletedTasks ?? 0,
    }));
  }
  const [tasks, nodes] = await Promise.all([
    listTasks(client, { service: services.map(({ ID }) => ID) }),
    listNodes(client),
  ]);
  const up = new Set(nodes.filter(({ Status }) => Status.State !== 'down').map(({ ID }) => ID));
  return services.map((service) => {
    const own = tasks.filter(({ ServiceID }) => ServiceID === service.ID);
    const wanted = own.filter(({ DesiredState }) => DesiredState !== 'shutdown');
    return {
      service,
      running: own.filter(({ Status, NodeID = '' }) => Status.State === 'running' && up.has(NodeID))
        .length,
      desired: service.Spec.Mode?.Replicated?.Replicas ?? wanted.length,
      completed: own.filter(({ Status }) => Status.State === 'complete').length,
    };
  });
}
