/** Asks what changes would do, and tells it. */
import {
  preview,
  previewRequest,
  type FieldChange,
  type PreviewChange,
  type ServicePreview,
  type TaskChange,
} from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import { flagsOf, type Command } from '../command/command.ts';
import { detachFlag, quietProgressFlag } from '../command/common-flags.ts';
import type { Context } from '../command/context.ts';
import { silentExit } from '../command/errors.ts';
import { oneOf, type Flag, type FlagValues } from '../command/flags.ts';
import { alignColumns } from '../format/table.ts';
import { ellipsis } from '../format/units.ts';
import { timeoutFlag } from '../service/wait.ts';

export const planFormatFlag = oneOf(
  'format',
  'Format output: text, json',
  ['text', 'json'] as const,
  { short: 'f' },
);

export const planLong =
  'Nothing is changed. The command is validated as it would be, and carried out on a copy of what ' +
  'the managers know, on which every task starts and runs. Ends with 0 where nothing would ' +
  'change, with 2 where something would, with 1 for an error.';

/** What a plan ends with where something would change. */
export const changesExit = 2;
const maxTaskLines = 50;
const maxValueLength = 200;

export async function tellPreview(
  context: Context,
  client: Client,
  changes: readonly PreviewChange[],
  flags: FlagValues,
): Promise<void> {
  const answer = await askPreview(client, changes);
  const { changes: isAnything, services, others } = preview.decode(answer, 'Plan');
  if (flags.get(planFormatFlag) === 'json') context.out.line(JSON.stringify(answer));
  else {
    const lines = [...services.flatMap(serviceLines), ...others.flatMap(otherLines)];
    for (const line of lines) context.out.line(line);
  }
  if (isAnything) throw silentExit(changesExit);
}

/** The daemon's answer as it is. */
function askPreview(client: Client, changes: readonly PreviewChange[]): Promise<unknown> {
  const body = previewRequest.encode({ changes: [...changes] });
  return client.json<unknown>('POST', '/plan', { body });
}

/** What would become of the services' tasks, by the names of the services: lines for people. */
export async function previewedTasks(
  client: Client,
  changes: readonly PreviewChange[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { services, others } = preview.decode(await askPreview(client, changes), 'Plan');
  return new Map(
    [...services, ...others].map((service) => [
      service.name,
      [`  tasks: ${counted(service)}`, ...taskLines(service.tasks)],
    ]),
  );
}

/** The flags of the command itself, without those that only say how to wait for it. */
export function plannedFlags(real: Command, context: Context): readonly Flag<unknown>[] {
  const waiting: readonly Flag<unknown>[] = [detachFlag, quietProgressFlag, timeoutFlag];
  return [planFormatFlag, ...flagsOf(real, context).filter((flag) => !waiting.includes(flag))];
}

function otherLines({ name, tasks }: ServicePreview): string[] {
  return [`service ${name}: not touched, but its tasks would get a place`, ...taskLines(tasks)];
}

const words = {
  create: 'would be created',
  update: 'would be updated',
  rebalance: 'would be moved in part',
  remove: 'would be removed',
  none: 'would stay as it is',
} as const;

function serviceLines(service: ServicePreview): string[] {
  const { name, action, fields, tasks, notes } = service;
  return [
    `service ${name}: ${words[action]}`,
    ...fields.flatMap(fieldLines),
    ...(action === 'none' ? [] : [`  tasks: ${counted(service)}`]),
    ...taskLines(tasks),
    ...notes.map((note) => `  note: ${note}`),
  ];
}

function fieldLines({ path, from, to }: FieldChange): string[] {
  if (from === undefined) return [`  + ${path}: ${shown(to)}`];
  if (to === undefined) return [`  - ${path}: ${shown(from)}`];
  return [`  ~ ${path}: ${shown(from)} → ${shown(to)}`];
}

function counted({ tasks, unchangedTasks }: ServicePreview): string {
  const count = (change: TaskChange['change']) =>
    tasks.filter((task) => task.change === change).length;
  const parts = [
    [count('create'), 'new'],
    [count('replace'), 'replaced'],
    [count('stop'), 'stopped'],
    [count('wait'), 'without a place'],
    [unchangedTasks, 'unchanged'],
  ] as const;
  const told = parts.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`);
  return told.length === 0 ? 'none' : told.join(', ');
}

function taskLines(tasks: readonly TaskChange[]): string[] {
  const lines = tasks.slice(0, maxTaskLines).map(taskLine);
  const aligned = alignColumns(lines, { minWidth: 0, padding: 2 });
  const more = tasks.length - lines.length;
  return more > 0 ? [...aligned, `  and ${more} more: see --format json`] : aligned;
}

function taskLine({ name, change, from, to, reason }: TaskChange): string {
  if (change === 'create') return `  + ${name}\ton ${to}`;
  if (change === 'stop') return `  - ${name}\t${from === '' ? 'had no node' : `on ${from}`}`;
  if (change === 'wait') return `  ! ${name}\twaits: ${reason ?? ''}`;
  return `  ~ ${name}\t${from === to ? `again on ${to}` : `${from || 'no node'} → ${to}`}`;
}

function shown(json = ''): string {
  return ellipsis(json, maxValueLength);
}
