/** What is kept of a container's log, also when no running container writes it any more. */
import { access } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';
import type { LogConfig, LogLine, LogQuery } from '../runtime.ts';
import { LogFile, type RotationLimits } from './log-file.ts';
import { readLog } from './log-reader.ts';

/** Whether what a container writes can be read here later. */
export function keepsLog({ driver, isUnkept }: LogConfig): boolean {
  return driver !== 'none' && isUnkept !== true;
}

/** Nothing where there is no log yet. */
export async function* readKeptLog(
  path: string,
  limits: RotationLimits,
  query: LogQuery,
  signal?: AbortSignal,
): AsyncGenerator<LogLine> {
  try {
    await access(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  yield* readLog(new LogFile(path, limits), { ...query, follow: false }, signal);
}
