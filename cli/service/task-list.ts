/** The table of tasks that `service ps` and `node ps` print. */
import { humanDuration } from '../../lib/units.ts';
import type { Client } from '../client/index.ts';
import { newestFirst, type WirePort, type WireTask } from '../client/wire.ts';
import type { Context } from '../command/context.ts';
import { printList, type Column } from '../format/list.ts';
import { capitalized, ellipsis, naturalCompare } from '../format/units.ts';
import { listNodes, listServices } from './lookup.ts';

interface Row {
  readonly task: WireTask;
  readonly name: string;
  readonly node: string;
}

interface TaskListOptions {
  readonly format: string | undefined;
  readonly quiet: boolean;
  readonly noTrunc: boolean;
  readonly noResolve: boolean;
}

const maxErrorLength = 30;

export async function printTasks(
  context: Context,
  client: Client,
  tasks: readonly WireTask[],
  options: TaskListOptions,
): Promise<void> {
  const named = await rowsOf(client, tasks, options.noResolve);
  const isTable = /^(table|$)/.test(options.format ?? '');
  const rows = isTable ? drawHistory(named) : named;
  await printList(context.out, {
    rows,
    columns: columnsFor(context.clock.nowMs(), options.noTrunc),
    table: ['ID', 'Name', 'Image', 'Node', 'DesiredState', 'CurrentState', 'Error', 'Ports'],
    format: options.format,
    quiet: options.quiet ? ({ task }) => task.ID : undefined,
  });
}

/** By name, and newest first within a slot. */
async function rowsOf(
  client: Client,
  tasks: readonly WireTask[],
  noResolve: boolean,
): Promise<Row[]> {
  if (tasks.length === 0) return [];
  const [services, nodes] = noResolve
    ? [[], []]
    : await Promise.all([listServices(client), listNodes(client)]);
  const jobs = new Set(services.filter(({ Spec }) => Spec.Mode?.ReplicatedJob).map(({ ID }) => ID));
  const serviceNames = new Map(services.map(({ ID, Spec }) => [ID, Spec.Name ?? ID]));
  const nodeNames = new Map(
    nodes.map((node) => [node.ID, node.Spec.Name || node.Description.Hostname || node.ID]),
  );
  const named = tasks.map((task) => {
    const service = serviceNames.get(task.ServiceID) ?? task.ServiceID;
    // Only a replicated job has a slot 0, which is not written.
    const hasSlot = task.Slot !== undefined || jobs.has(task.ServiceID);
    const place = hasSlot ? String(task.Slot ?? 0) : (task.NodeID ?? '');
    const nodeId = task.NodeID ?? '';
    return { task, name: `${service}.${place}`, node: nodeNames.get(nodeId) ?? nodeId };
  });
  named.sort((a, b) => naturalCompare(a.name, b.name) || newestFirst(a.task, b.task));
  return named;
}

/** In a table, the tasks that a task came after hang below it. */
function drawHistory(rows: readonly Row[]): Row[] {
  return rows.map((row, index) =>
    row.name === rows[index - 1]?.name ? { ...row, name: ` \\_ ${row.name}` } : row,
  );
}

function columnsFor(nowMs: number, noTrunc: boolean): Record<string, Column<Row>> {
  return {
    ID: {
      header: 'ID',
      value: ({ task }) => (noTrunc ? task.ID : task.ID.slice(0, 12)),
    },
    Name: { header: 'NAME', value: ({ name }) => name },
    Image: {
      header: 'IMAGE',
      value: ({ task }) => shownImage(task.Spec.ContainerSpec?.Image ?? '', noTrunc),
    },
    Node: { header: 'NODE', value: ({ node }) => node },
    DesiredState: {
      header: 'DESIRED STATE',
      value: ({ task }) => capitalized(task.DesiredState),
    },
    CurrentState: {
      header: 'CURRENT STATE',
      value({ task: { Status: status } }) {
        const ago = humanDuration(nowMs - Date.parse(status.Timestamp)).toLowerCase();
        return `${capitalized(status.State)} ${ago} ago`;
      },
    },
    Error: {
      header: 'ERROR',
      value({ task }) {
        const err = (task.Status.Err ?? '').trim();
        if (err === '') return '';
        return `"${noTrunc ? err : ellipsis(err, maxErrorLength)}"`;
      },
    },
    Ports: {
      header: 'PORTS',
      value: ({ task }) => shownHostPorts(task.Status.PortStatus?.Ports ?? []),
    },
  };
}

/** Without its digest where there is a tag to go by. */
export function shownImage(image: string, noTrunc = false): string {
  if (noTrunc) return image;
  const at = image.indexOf('@');
  if (at < 0) return image;
  const named = image.slice(0, at);
  return named.slice(named.lastIndexOf('/') + 1).includes(':') ? named : image;
}

function shownHostPorts(ports: readonly WirePort[]): string {
  return ports
    .map(
      (port) => `*:${port.PublishedPort ?? 0}->${port.TargetPort ?? 0}/${port.Protocol ?? 'tcp'}`,
    )
    .join(',');
}
