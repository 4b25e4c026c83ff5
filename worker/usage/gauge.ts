/** Measures tasks of this node, as a manager asks. */
import { readFile, readlink } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { MeasurementsSchema, MeasureRequest } from '../../gen/dispatcher_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { TaskExecutor } from '../executor/executor.ts';
import type { Usage } from '../runtime/controls.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { acceptedConnections, openConnections } from './sockets.ts';

type Measured = NonNullable<MessageInitShape<typeof MeasurementsSchema>['tasks']>[number];

interface GaugeParts {
  readonly executor: Pick<TaskExecutor, 'statuses'>;
  readonly runtime: { readonly controls: Pick<Runtime['controls'], 'usage'> };
  readonly clock: Clock;
  readonly log: Logger;
}

/** So many containers are read at once, so that measuring many is no burst. */
const atOnce = 4;

/** What an agent measures with. A task that does not run, or cannot be read, is left out. */
export function taskGauge(
  parts: GaugeParts,
): (request: MeasureRequest) => Promise<MessageInitShape<typeof MeasurementsSchema>> {
  return async ({ usageOf, connectionsOf }) => {
    const [usage, connections] = [new Set(usageOf), new Set(connectionsOf)];
    const statuses = parts.executor.statuses();
    const left = [...usage.union(connections)].flatMap((id) => {
      const status = statuses.get(id);
      return status?.state === 'running' && status.container !== undefined
        ? [{ id, container: status.container }]
        : [];
    });
    const tasks: Measured[] = [];
    const work = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const { id, container } = next;
        try {
          const used = usage.has(id) ? await readUsage(parts, container.containerId) : {};
          const open = connections.has(id) ? await readConnections(container.pid) : {};
          tasks.push({ taskId: id, atMs: parts.clock.monotonicMs(), ...used, ...open });
        } catch (error) {
          parts.log.debug('a task was not measured', { taskId: id, error: messageOf(error) });
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return { tasks };
  };
}

async function readUsage({ runtime }: GaugeParts, containerId: string): Promise<Partial<Measured>> {
  const { cpu, memory } = await runtime.controls.usage(containerId);
  return { cpuNs: cpu.totalNs, memoryBytes: workingSet(memory) };
}

/** Without the pages of files that nobody has used for long: the kernel drops them at need. */
function workingSet({ usageBytes, stats }: Usage['memory']): number {
  const idle = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
  return Math.max(0, usageBytes - idle);
}

/** Of a task in the host's own namespace nothing is said: what is there is not its own. */
async function readConnections(pid: number): Promise<Partial<Measured>> {
  const [namespace, own] = await Promise.all(
    [`${pid}`, 'self'].map((process) => readlink(`/proc/${process}/ns/net`)),
  );
  if (namespace === own) return {};
  const [v4 = '', v6 = '', snmp = ''] = await Promise.all(
    ['tcp', 'tcp6', 'snmp'].map((file) => readFile(`/proc/${pid}/net/${file}`, 'utf8')),
  );
  const accepted = acceptedConnections(snmp);
  return {
    connections: openConnections([v4, v6]),
    ...(accepted === undefined ? {} : { accepted }),
  };
}
