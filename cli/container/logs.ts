import { messageOf } from '../../lib/errors.ts';
import { connect } from '../client/index.ts';
import { frames } from '../client/streams.ts';
import { exactly, type Command } from '../command/command.ts';
import { commandError } from '../command/errors.ts';
import { bool, text } from '../command/flags.ts';
import { unixSeconds } from '../format/time.ts';
import { findTarget, type TargetKind } from './target.ts';

const details = bool('details', 'Show extra details provided to logs');
const follow = bool('follow', 'Follow log output', { short: 'f' });
const since = text(
  'since',
  'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
);
const until = text(
  'until',
  'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 ' +
    'minutes)',
);
const tail = text('tail', 'Number of lines to show from the end of the logs', {
  short: 'n',
  shownDefault: '"all"',
});
const timestamps = bool('timestamps', 'Show timestamps', { short: 't' });

/** A task's lines are its container's, wherever that runs. */
export function logsCommand(kind: TargetKind): Command {
  return {
    usage: '[OPTIONS] CONTAINER',
    flags: [details, follow, since, tail, timestamps, until],
    args: exactly(1),
    async run(context, [reference = ''], flags) {
      const client = connect(context);
      const { path, container } = await findTarget(client, reference, kind);
      const time = (name: string, given: string | undefined) => {
        try {
          return given === undefined ? undefined : unixSeconds(given, context.clock.nowMs());
        } catch (error) {
          throw commandError(`invalid value for "${name}": ${messageOf(error)}`);
        }
      };
      const response = await client.stream('GET', `${path}/logs`, {
        query: {
          stdout: 1,
          stderr: 1,
          follow: flags.get(follow) ? 1 : undefined,
          timestamps: flags.get(timestamps) ? 1 : undefined,
          details: flags.get(details) ? 1 : undefined,
          since: time('since', flags.get(since)),
          until: time('until', flags.get(until)),
          tail: flags.get(tail) ?? 'all',
        },
      });
      let interrupted = false;
      using _ = context.onInterrupt(() => {
        interrupted = true;
        response.destroy();
      });
      try {
        if (container.Config.Tty) {
          for await (const chunk of response as AsyncIterable<Buffer>) {
            await context.out.drained(chunk);
          }
          return;
        }
        for await (const { stream, data } of frames(response)) {
          await (stream === 'stderr' ? context.err : context.out).drained(data);
        }
      } catch (error) {
        // Ctrl-C is how following ends; the stream that we cut is no failure.
        if (!interrupted) throw error;
      }
    },
  };
}
