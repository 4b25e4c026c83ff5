import { messageOf } from '../../../lib/errors.ts';
import { connect, filtersQuery } from '../../client/index.ts';
import { jsonDocuments } from '../../client/streams.ts';
import type { WireEvent } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag } from '../../command/common-flags.ts';
import { commandError } from '../../command/errors.ts';
import { text } from '../../command/flags.ts';
import { localNanoTime, unixSeconds } from '../../format/time.ts';
import { gatherFilters } from '../../service/lookup.ts';

const format = text('format', 'Format output using a custom template: json, or a Go template');
const since = text('since', 'Show all events created since timestamp');
const until = text('until', 'Stream events until this timestamp');

const optional = new Set([
  'Actor',
  'Attributes',
  'Scope',
  'Time',
  'TimeNano',
  'Status',
  'ID',
  'From',
]);

const nanoDigits = 9;

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filterFlag, format, since, until],
  args: noArgs,
  async run(context, _args, flags) {
    const seconds = (given: string | undefined) => {
      try {
        return given === undefined ? undefined : unixSeconds(given, context.clock.nowMs());
      } catch (error) {
        throw commandError(messageOf(error));
      }
    };
    const show = await lineOf(flags.get(format) ?? '');
    const stop = new AbortController();
    const interrupt = context.onInterrupt(() => stop.abort());
    try {
      const response = await connect(context).stream('GET', '/events', {
        query: {
          since: seconds(flags.get(since)),
          until: seconds(flags.get(until)),
          filters: filtersQuery(gatherFilters(flags.get(filterFlag))),
        },
        signal: stop.signal,
      });
      for await (const event of jsonDocuments<WireEvent>(response)) {
        await context.out.drained(`${show(event)}\n`);
      }
    } catch (error) {
      // Ctrl-C is how a user ends the stream.
      if (!stop.signal.aborted) throw error;
    } finally {
      interrupt[Symbol.dispose]();
    }
  },
};

async function lineOf(wanted: string): Promise<(event: WireEvent) => string> {
  if (wanted === '') return eventLine;
  const { compileTemplate } = await import('../../format/template.ts');
  if (wanted === 'json') return (event) => JSON.stringify(event);
  const template = compileTemplate(wanted, { optional: (name) => optional.has(name) });
  return (event) =>
    template.run({
      ...event,
      ID: event.Actor.ID,
      Time: event.time,
      TimeNano: event.timeNano,
      Status: event.Action,
    });
}

function eventLine(event: WireEvent): string {
  // The digits that came: a number of that size is itself only to some hundred nanoseconds.
  const digits = String(event.timeNano ?? 0).padStart(nanoDigits + 1, '0');
  const seconds = event.time ?? Number(digits.slice(0, -nanoDigits));
  const nanoseconds = Number(digits.slice(-nanoDigits));
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const shown = attributes.length > 0 ? ` (${attributes.join(', ')})` : '';
  const time = localNanoTime(seconds, nanoseconds);
  return `${time} ${event.Type} ${event.Action} ${event.Actor.ID}${shown}`;
}
