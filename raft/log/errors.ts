/**
 * - `corrupt`: what is on the disk is not what was written; `path` and `offset` say where.
 * - `missing`: files of the log are gone.
 * - `wrong-key`: a file is encrypted with a key that was not given, or not encrypted at all.
 * - `locked`: another process has the log open.
 * - `full`: the disk has no room. Nothing of the append was kept; it may be tried again.
 * - `busy`: too many bytes wait to be written. It may be tried again.
 * - `too-large`: one record is larger than the log takes.
 * - `failed`: the disk failed. What was not yet durable may be lost or not; the log takes no more
 *   until it is opened anew, which finds out.
 * - `closed`: the log was closed.
 */
export type LogErrorCode =
  | 'corrupt'
  | 'missing'
  | 'wrong-key'
  | 'locked'
  | 'full'
  | 'busy'
  | 'too-large'
  | 'failed'
  | 'closed';

/** An operating error of the log. The message is one sentence that names the file. */
export class LogError extends Error {
  override readonly name = 'LogError';
  readonly code: LogErrorCode;
  readonly path: string | undefined;
  /** Byte in the file. */
  readonly offset: number | undefined;

  constructor(
    code: LogErrorCode,
    message: string,
    where: { path?: string; offset?: number; cause?: unknown } = {},
  ) {
    super(message, where.cause === undefined ? {} : { cause: where.cause });
    this.code = code;
    this.path = where.path;
    this.offset = where.offset;
  }
}

export function corrupt(path: string, offset: number, why: string, cause?: unknown): LogError {
  const message = `${path} is damaged at byte ${offset}: ${why}`;
  return new LogError('corrupt', message, { path, offset, cause });
}

/** What another version of this library wrote, in a few words. */
export function otherFormat(version: number, own: number): string {
  const who = version > own ? 'a newer version, which has to be started again' : 'an older version';
  return `it is of format ${version}, written by ${who}, and not of format ${own}`;
}

/** What a system call's error means for the log. */
export function fromDisk(thrown: unknown, doing: string): LogError {
  if (thrown instanceof LogError) return thrown;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new LogError(
    full ? 'full' : 'failed',
    full ? `no space is left on the disk: ${doing} (${why})` : `${doing} failed: ${why}`,
    { cause: thrown },
  );
}
