import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { connect, type Client } from '../../client/index.ts';
import { frames } from '../../client/streams.ts';
import type { WireService, WireTask, WireTaskSpec } from '../../client/wire.ts';
import { exactly, type Command } from '../../command/command.ts';
import { noTruncFlag } from '../../command/common-flags.ts';
import type { Context } from '../../command/context.ts';
import { commandError } from '../../command/errors.ts';
import { bool, text, type FlagValues } from '../../command/flags.ts';
import { unixSeconds } from '../../format/time.ts';
import { LogPrefixes, parseLogLine } from '../../service/log-lines.ts';

const details = bool('details', 'Show extra details provided to logs');
const follow = bool('follow', 'Follow log output', { short: 'f' });
const noResolve = bool('no-resolve', 'Do not map IDs to Names in output');
const noTaskIds = bool('no-task-ids', 'Do not include task IDs in output');
const raw = bool('raw', 'Do not neatly format logs');
const since = text(
  'since',
  'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
);
const tail = text('tail', 'Number of lines to show from the end of the logs', {
  short: 'n',
  shownDefault: '"all"',
});
const timestamps = bool('timestamps', 'Show timestamps', { short: 't' });

export const command: Command = {
  usage: '[OPTIONS] SERVICE|TASK',
  flags: [details, follow, noResolve, noTaskIds, noTruncFlag, raw, since, tail, timestamps],
  args: exactly(1),
  async run(context, [reference = ''], flags) {
    const client = connect(context);
    const target = await findTarget(client, reference);
    const isTty = target.spec.ContainerSpec?.TTY === true;
    const isRaw = flags.get(raw) === true;
    if (isTty && !isRaw) throw commandError('tty service logs only supported with --raw');
    const response = await client.stream('GET', `${target.path}/logs`, {
      query: {
        stdout: 1,
        stderr: 1,
        follow: flags.get(follow) ? 1 : undefined,
        timestamps: flags.get(timestamps) ? 1 : undefined,
        details: !isRaw || flags.get(details) ? 1 : undefined,
        since: sinceQuery(context, flags),
        tail: flags.get(tail) ?? 'all',
      },
    });
    let interrupted = false;
    const interrupt = context.onInterrupt(() => {
      interrupted = true;
      response.destroy();
    });
    try {
      if (isTty) {
        for await (const chunk of response as AsyncIterable<Buffer>)
          await context.out.drained(chunk);
      } else await printFrames(context, client, response, target.slotWidth, flags);
    } catch (error) {
      // Ctrl-C is how following ends; the stream that we cut is no failure.
      if (!interrupted) throw error;
    } finally {
      interrupt[Symbol.dispose]();
    }
  },
};

async function printFrames(
  context: Context,
  client: Client,
  response: Parameters<typeof frames>[0],
  slotWidth: number,
  flags: FlagValues,
): Promise<void> {
  const prefixes = new LogPrefixes(client, {
    noResolve: flags.get(noResolve) ?? false,
    noTrunc: flags.get(noTruncFlag) ?? false,
    noTaskIds: flags.get(noTaskIds) ?? false,
    slotWidth,
  });
  for await (const { stream, data } of frames(response)) {
    const output = stream === 'stderr' ? context.err : context.out;
    if (flags.get(raw)) {
      await output.drained(data);
      continue;
    }
    const line = parseLogLine(data.toString('utf8'), flags.get(timestamps) ?? false);
    if (line === undefined) await output.drained(data);
    else await output.drained(await prefixes.format(line, flags.get(details) ?? false));
  }
}

interface Target {
  readonly path: string;
  readonly spec: WireTaskSpec;
  readonly slotWidth: number;
}

/** A service by that name or id, else a task. */
async function findTarget(client: Client, reference: string): Promise<Target> {
  const name = encodeURIComponent(reference);
  try {
    const service = await client.get<WireService>(`/services/${name}`);
    const replicas = service.Spec.Mode?.Replicated?.Replicas ?? 0;
    return {
      path: `/services/${service.ID}`,
      spec: service.Spec.TaskTemplate,
      slotWidth: replicas > 0 ? String(replicas).length : 0,
    };
  } catch (error) {
    if (SwarmError.from(error).code !== 'not-found') throw error;
  }
  try {
    const task = await client.get<WireTask>(`/tasks/${name}`);
    return {
      path: `/tasks/${task.ID}`,
      spec: task.Spec,
      slotWidth: String(task.Slot ?? 0).length,
    };
  } catch (error) {
    if (SwarmError.from(error).code !== 'not-found') throw error;
    throw new SwarmError('not-found', `no such task or service: ${reference}`, { cause: error });
  }
}

function sinceQuery(context: Context, flags: FlagValues): string | undefined {
  const given = flags.get(since);
  if (given === undefined) return undefined;
  try {
    return unixSeconds(given, context.clock.nowMs());
  } catch (error) {
    throw commandError(`invalid value for "since": ${messageOf(error)}`);
  }
}
