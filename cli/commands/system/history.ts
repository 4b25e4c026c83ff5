import { historyAnswer, type HistoryRecord, type PastMoment } from '../../../types/index.ts';
import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { oneOf, text, unsigned } from '../../command/flags.ts';
import { alignColumns } from '../../format/table.ts';
import { unixSeconds } from '../../format/time.ts';

const at = text(
  'at',
  'How things stood then: RFC 3339, seconds since the epoch, or how long ago (90m)',
);
const format = oneOf('format', 'Format output: text, json', ['text', 'json'] as const, {
  short: 'f',
});
const tail = unsigned('tail', 'Number of changes to show, the newest', {
  short: 'n',
  shownDefault: '100',
});

export const command: Command = {
  usage: '[OPTIONS] [SERVICE]',
  flags: [at, format, tail],
  args: between(0, 1),
  long:
    'What changed, when, and by whom: by a command, by the managers themselves, or by a node that ' +
    'told so. With --at also what the swarm wanted and had at that moment. A manager remembers ' +
    'what its log brought since it was started, within bounds: the first line says since when.',
  async run(context, [service], flags) {
    const limit = flags.get(tail);
    if (limit === 0) throw commandError('--tail has to be 1 at least');
    const moment = flags.get(at);
    const query = {
      service,
      limit,
      at: moment === undefined ? undefined : unixSeconds(moment, context.clock.nowMs()),
    };
    const answer = await connect(context).get<unknown>('/history', query);
    if (flags.get(format) === 'json') {
      context.out.line(JSON.stringify(answer));
      return;
    }
    const { since, records, more, moment: past } = historyAnswer.decode(answer, 'History');
    const left = more === 0 ? '' : `; ${more} older ones are left out`;
    context.out.line(`changes since ${since}${left}`);
    for (const line of recordLines(records)) context.out.line(line);
    if (past === undefined) return;
    context.out.line('');
    for (const line of momentLines(past)) context.out.line(line);
  },
};

function recordLines(records: readonly HistoryRecord[]): string[] {
  return alignColumns(
    records.map(({ time, kind, name, by, user, text: what }) =>
      [time, `${kind} ${name}`, user === undefined ? by : `${by} (${user})`, what].join('\t'),
    ),
    { minWidth: 0, padding: 2 },
  );
}

function momentLines({ time, services, nodes }: PastMoment): string[] {
  const told = services.flatMap(({ name, image, mode, running, tasks, update }) => [
    `service ${name}: ${mode} of ${image}, ${running} running` +
      (update === '' ? '' : ` (${update})`),
    ...alignColumns(
      tasks.map((task) => `  ${task.name}\t${task.node || '-'}\t${task.state}`),
      { minWidth: 0, padding: 2 },
    ),
  ]);
  const states = nodes.map(({ hostname, state, availability }) => {
    return `node ${hostname}: ${state}, ${availability}`;
  });
  return [`at ${time}`, ...told, ...states];
}
