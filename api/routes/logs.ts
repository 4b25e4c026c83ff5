import { SwarmError } from '../../lib/errors.ts';
import type { Service, Task } from '../../types/index.ts';
import type { LogQuery } from '../../worker/runtime/runtime.ts';
import type { ManagerBackend } from '../backend.ts';
import { errorFrame, logFrame, noticeLine, type LogStyle } from '../convert/log-frame.ts';
import { parseUnixTime } from '../convert/time.ts';
import type { Exchange } from '../exchange.ts';

/** The first version whose clients know the framed stream by its own media type. */
const multiplexedSinceMinor = 42;
/** Beyond this, a broken cluster would say the same thing over and over. */
const maxNotices = 100;

type Target = { readonly service: Service } | { readonly task: Task };

export async function sendLogs(
  exchange: Exchange,
  manager: ManagerBackend,
  target: Target,
): Promise<void> {
  const query = logQuery(exchange);
  const spec = 'service' in target ? target.service.spec.task : target.task.spec;
  const style: LogStyle = {
    timestamps: exchange.flag('timestamps'),
    details: exchange.flag('details'),
    framed: spec.container?.tty !== true,
  };
  const lines = manager.logs(target, query, { signal: exchange.signal });
  exchange.begin(
    style.framed && exchange.minor >= multiplexedSinceMinor
      ? 'application/vnd.docker.multiplexed-stream'
      : 'application/vnd.docker.raw-stream',
  );
  const late: string[] = [];
  try {
    for await (const entry of lines) {
      if ('task' in entry) {
        await exchange.write(logFrame(entry.task, entry.line, style));
      } else if (query.follow && !style.details) {
        await exchange.write(noticeLine(entry.notice, style));
      } else if (late.length < maxNotices) {
        // A line without details would end Docker's CLI at once: what is missing is told at the end.
        late.push(entry.notice);
      }
    }
  } catch (error) {
    if (exchange.signal.aborted) throw error;
    late.push(SwarmError.from(error).message);
  }
  if (late.length > 0) {
    await exchange.write(errorFrame(`Error grabbing logs: ${late.join('; ')}`, style));
  }
  exchange.end();
}

export function logQuery(exchange: Exchange): LogQuery {
  const stdout = exchange.flag('stdout');
  const stderr = exchange.flag('stderr');
  if (!stdout && !stderr) {
    throw new SwarmError('invalid-argument', 'Bad parameters: you must choose at least one stream');
  }
  const tail = tailOf(exchange.query.get('tail') ?? '');
  const sinceMs = timeOf(exchange, 'since');
  const untilMs = timeOf(exchange, 'until');
  return {
    follow: exchange.flag('follow'),
    stdout,
    stderr,
    ...(tail === undefined ? {} : { tail }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

function tailOf(text: string): number | undefined {
  if (text === '' || text === 'all') return undefined;
  // As programs have it that know no word for "all".
  if (/^-\d{1,9}$/.test(text)) return undefined;
  if (!/^\d{1,9}$/.test(text)) {
    throw new SwarmError('invalid-argument', 'tail value must be a positive integer or "all"');
  }
  return Number(text);
}

function timeOf(exchange: Exchange, name: string): number | undefined {
  const text = exchange.query.get(name) ?? '';
  if (text === '' || text === '0') return undefined;
  const ms = parseUnixTime(text);
  if (ms === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `invalid value for "${name}": "${text}" is not seconds since 1970`,
    );
  }
  return ms;
}
