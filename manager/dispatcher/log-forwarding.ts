/** Logs read on a manager that does not lead: the leader reads them, and passes them on. */
import { Stream, type LogReader as LogReaderDesc, type ReadRequest } from '../../gen/logs_pb.js';
import { assert } from '../../lib/assert.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { CallContext, ClientOf, HandlersOf } from '../../lib/grpc/index.ts';
import type { Service, Task } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import type { LogBroker } from './log-broker.ts';
import type { LogItem, LogQuery } from './log-reading.ts';

type Target = { readonly service: Service } | { readonly task: Task };
type View = Pick<StoreView, 'service' | 'task'>;

/** What the leader answers to other managers; to be registered with `allow: 'managers'`. */
export function serveLogReader(
  broker: LogBroker,
  view: View,
): HandlersOf<typeof LogReaderDesc, CallContext> {
  return {
    async *read(request, { signal }) {
      const query = JSON.parse(Buffer.from(request.query).toString('utf8')) as LogQuery;
      const told = new Set<string>();
      for await (const item of broker.logs(targetOf(request, view), query, { signal })) {
        if ('notice' in item) {
          yield { notice: item.notice };
          continue;
        }
        const { timeNs, stream, data } = item.line;
        const name = stream === 'stderr' ? Stream.STDERR : Stream.STDOUT;
        const { id } = item.task;
        const task = told.has(id) ? new Uint8Array() : Buffer.from(JSON.stringify(item.task));
        told.add(id);
        yield { line: { taskId: id, timeNs, stream: name, data }, task };
      }
    },
  };
}

/** The leader's logs, as LogBroker gives its own. */
export async function* forwardedLogs(
  leader: ClientOf<typeof LogReaderDesc>,
  target: Target,
  query: LogQuery,
  { signal }: { readonly signal: AbortSignal },
): AsyncIterable<LogItem> {
  const request = {
    target:
      'service' in target
        ? { case: 'serviceId' as const, value: target.service.id }
        : { case: 'taskId' as const, value: target.task.id },
    query: Buffer.from(JSON.stringify(query)),
  };
  const tasks = new Map<string, Task>();
  for await (const { line, notice, task: document } of leader.read(request, { signal })) {
    if (line === undefined) {
      yield { notice };
      continue;
    }
    if (document.length > 0) {
      tasks.set(line.taskId, JSON.parse(Buffer.from(document).toString('utf8')) as Task);
    }
    const task = tasks.get(line.taskId);
    assert(task !== undefined, 'the leader names a task before its first line');
    const stream = line.stream === Stream.STDERR ? 'stderr' : 'stdout';
    yield { task, line: { timeNs: line.timeNs, stream, data: line.data } };
  }
}

function targetOf({ target }: ReadRequest, view: View): Target {
  if (target.case === 'serviceId') {
    const service = view.service(target.value);
    if (service !== undefined) return { service };
  }
  if (target.case === 'taskId') {
    const task = view.task(target.value);
    if (task !== undefined) return { task };
  }
  throw new SwarmError('not-found', `${target.value ?? 'the target'} is gone: list again`);
}
