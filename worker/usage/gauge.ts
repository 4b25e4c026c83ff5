/** Measures tasks of this node, as a manager asks. */
import { readFile, readlink } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  MeasurementsSchema,
  MeasureRequest,
  RequestCounter,
  TaskMeasurementSchema,
} from '../../gen/dispatcher_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { Semaphore } from '../../lib/concurrency.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { TaskExecutor } from '../executor/executor.ts';
import type { Usage } from '../runtime/controls.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { readCounter } from './page.ts';
import { acceptedConnections, openConnections } from './sockets.ts';

type Measured = Omit<MessageInitShape<typeof TaskMeasurementSchema>, '$typeName' | '$unknown'>;

interface GaugeParts {
  readonly executor: Pick<TaskExecutor, 'statuses'>;
  readonly runtime: { readonly controls: Pick<Runtime['controls'], 'usage'> };
  readonly clock: Clock;
  readonly log: Logger;
}

/** So many containers are read at once, so that measuring many is no burst. */
const atOnce = 4;
/** Pages are others' programs, which may take their time: one that is slow holds up no other. */
const pagesAtOnce = 32;
/** For all pages together: a manager asks again each second at most. */
const pagesMs = 800;
const problemMax = 200;

type ContainerOf = (taskId: string) => { containerId: string; pid: number } | undefined;

/** What an agent measures with. A task that does not run, or cannot be read, is left out. */
export function taskGauge(
  parts: GaugeParts,
): (request: MeasureRequest) => Promise<MessageInitShape<typeof MeasurementsSchema>> {
  return async ({ usageOf, connectionsOf, requestsOf }) => {
    const [usage, connections] = [new Set(usageOf), new Set(connectionsOf)];
    const statuses = parts.executor.statuses();
    const containerOf: ContainerOf = (id) => {
      const status = statuses.get(id);
      return status?.state === 'running' ? status.container : undefined;
    };
    const pages = countRequests(parts, requestsOf, containerOf);
    const tasks = new Map<string, Measured>();
    const turns = new Semaphore(atOnce);
    const work = (id: string) =>
      turns.run(async () => {
        const container = containerOf(id);
        if (container === undefined) return;
        try {
          const used = usage.has(id) ? await readUsage(parts, container.containerId) : {};
          const open = connections.has(id) ? await readConnections(container.pid) : {};
          tasks.set(id, { taskId: id, atMs: parts.clock.monotonicMs(), ...used, ...open });
        } catch (error) {
          parts.log.debug('a task was not measured', { taskId: id, error: messageOf(error) });
        }
      });
    await Promise.all([...usage.union(connections)].map(work));
    for (const [taskId, counted] of await pages) {
      const atMs = parts.clock.monotonicMs();
      tasks.set(taskId, { ...(tasks.get(taskId) ?? { taskId, atMs }), ...counted });
    }
    return { tasks: [...tasks.values()] };
  };
}

/** Does not throw: what is wrong with a page is told of its task. */
async function countRequests(
  { clock }: GaugeParts,
  counters: readonly RequestCounter[],
  containerOf: ContainerOf,
): Promise<ReadonlyMap<string, Partial<Measured>>> {
  const found = new Map<string, Partial<Measured>>();
  if (counters.length === 0) return found;
  const late = new AbortController();
  const timer = clock.after(pagesMs, () => {
    const what = `there was no answer within ${pagesMs / 1000} s`;
    late.abort(new SwarmError('deadline-exceeded', what));
  });
  const turns = new Semaphore(pagesAtOnce);
  const work = async ({ taskId, port, path, counter }: RequestCounter) => {
    const pid = containerOf(taskId)?.pid;
    if (pid === undefined) return;
    try {
      const { signal } = late;
      const netnsPath = `/proc/${pid}/ns/net`;
      const requests = await turns.run(async () => {
        if (await isOfHost(pid)) throw new SwarmError('failed-precondition', onHost);
        return readCounter({ netnsPath, port, path, counter }, { signal });
      }, signal);
      found.set(taskId, { requests, requestsAtMs: clock.monotonicMs() });
    } catch (error) {
      found.set(taskId, { requestsProblem: messageOf(error).slice(0, problemMax) });
    }
  };
  await Promise.all(counters.map(work));
  timer.cancel();
  return found;
}

const onHost = "it is on the host's network, where ports are not its own";

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
  if (await isOfHost(pid)) return {};
  const [v4 = '', v6 = '', snmp = ''] = await Promise.all(
    ['tcp', 'tcp6', 'snmp'].map((file) => readFile(`/proc/${pid}/net/${file}`, 'utf8')),
  );
  const accepted = acceptedConnections(snmp);
  return {
    connections: openConnections([v4, v6]),
    ...(accepted === undefined ? {} : { accepted }),
  };
}

async function isOfHost(pid: number): Promise<boolean> {
  const [namespace, own] = await Promise.all(
    [`${pid}`, 'self'].map((process) => readlink(`/proc/${process}/ns/net`)),
  );
  return namespace === own;
}
