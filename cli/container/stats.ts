/** `stats`: what containers use, or the tasks' on any node; once, or again each second. */
import { SwarmError } from '../../lib/errors.ts';
import { connect, type Client } from '../client/index.ts';
import { jsonDocuments } from '../client/streams.ts';
import { atLeast, type Command } from '../command/command.ts';
import { formatFlag, noTruncFlag } from '../command/common-flags.ts';
import type { Context } from '../command/context.ts';
import { bool, type FlagValues } from '../command/flags.ts';
import { printList } from '../format/list.ts';
import { listTasks } from '../service/lookup.ts';
import { statsColumns, statsRow, type StatsRow, type WireStats } from './stats-row.ts';
import { findTarget, type TargetKind } from './target.ts';

const all = bool('all', 'Show all containers (default shows just running)', { short: 'a' });
const noStream = bool('no-stream', 'Disable streaming stats and only pull the first result');

const periodMs = 1_000;
const clearScreen = '\u001B[2J\u001B[H';

export function statsCommand(kind: TargetKind): Command {
  const isTask = kind === 'task';
  return {
    usage: isTask ? '[OPTIONS] [TASK...]' : '[OPTIONS] [CONTAINER...]',
    flags: [...(isTask ? [] : [all]), formatFlag, noStream, noTruncFlag],
    args: atLeast(0),
    async run(context, references, flags) {
      const client = connect(context);
      const paths = async () =>
        references.length > 0
          ? Promise.all(references.map(async (one) => (await findTarget(client, one, kind)).path))
          : isTask
            ? runningTasks(client)
            : containers(client, flags.get(all) ?? false);
      if (flags.get(noStream)) {
        const rows = await Promise.all((await paths()).map((path) => once(client, path)));
        await show(
          context,
          rows.filter((row) => row !== undefined),
          flags,
        );
        return;
      }
      await follow(context, client, paths, references.length === 0, flags);
    },
  };
}

async function containers(client: Client, isAll: boolean): Promise<string[]> {
  const query = { all: isAll ? 1 : undefined };
  const found = await client.get<readonly { readonly Id: string }[]>('/containers/json', query);
  return found.map(({ Id }) => `/containers/${Id}`);
}

async function runningTasks(client: Client): Promise<string[]> {
  const tasks = await listTasks(client, { 'desired-state': ['running'] });
  return tasks.filter(({ Status }) => Status.State === 'running').map(({ ID }) => `/tasks/${ID}`);
}

/** Undefined for one that has gone since it was listed. */
async function once(client: Client, path: string): Promise<StatsRow | undefined> {
  try {
    return statsRow(await client.get<WireStats>(`${path}/stats`, { stream: 0 }));
  } catch (error) {
    if (SwarmError.from(error).code === 'not-found') return undefined;
    throw error;
  }
}

/** Until Ctrl-C, or until those that were named have all gone. */
async function follow(
  context: Context,
  client: Client,
  list: () => Promise<readonly string[]>,
  isOpen: boolean,
  flags: FlagValues,
): Promise<void> {
  const stop = new AbortController();
  using _ = context.onInterrupt(() => stop.abort());
  const rows = new Map<string, StatsRow | undefined>();
  const watch = async (path: string) => {
    const { signal } = stop;
    try {
      const response = await client.stream('GET', `${path}/stats`, {
        query: { stream: 1 },
        signal,
      });
      for await (const stats of jsonDocuments<WireStats>(response)) rows.set(path, statsRow(stats));
    } catch (error) {
      // One that has gone leaves the list; that the user has gone ends all of them.
      if (!stop.signal.aborted && !isOpen) context.err.line(SwarmError.from(error).message);
    } finally {
      rows.delete(path);
    }
  };
  const begin = (paths: readonly string[]) => {
    for (const path of paths) {
      if (rows.has(path)) continue;
      rows.set(path, undefined);
      void watch(path);
    }
  };
  begin(await list());
  while (!stop.signal.aborted) {
    const seen = [...rows.values()].filter((row) => row !== undefined);
    context.out.write(clearScreen);
    await show(context, seen, flags);
    if (rows.size === 0 && !isOpen) return;
    try {
      await context.clock.sleep(periodMs, { signal: stop.signal });
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      return;
    }
    if (isOpen) begin(await list());
  }
}

async function show({ out }: Context, rows: readonly StatsRow[], flags: FlagValues): Promise<void> {
  const whole = { header: 'CONTAINER ID', value: ({ id }: StatsRow) => id };
  await printList(out, {
    rows,
    columns: flags.get(noTruncFlag)
      ? { ...statsColumns, ID: whole, Container: whole }
      : statsColumns,
    table: ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'],
    format: flags.get(formatFlag),
  });
}
