import { openSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino, type Logger as Pino } from 'pino';
import { SwarmError, messageOf } from '../lib/errors.ts';
import { makeFoldersSync } from '../lib/folders.ts';
import type { LogFields, Logger } from '../lib/log.ts';
import { LogWriter } from './log-writer.ts';
import type { DaemonOptions } from './options.ts';

/** JSON lines on standard error or in a file; errors in fields are written with their causes. */
export function createLogger(options: Pick<DaemonOptions, 'logLevel' | 'logFile'>): Logger {
  // pino's own destination ends the process when a write fails, and then hangs in its end, for as
  // long as the disk is full.
  const writer = new LogWriter({
    fd: openLog(options.logFile),
    onLost: (lines, reason) => base.warn({ lines, reason }, 'lines of this log were lost'),
  });
  process.once('exit', () => writer.flushSync());
  const base = pino(
    {
      level: options.logLevel,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
      redact: ['joinToken', 'registryAuth', 'password'],
    },
    writer,
  );
  return adapt(base);
}

function openLog(path: string | undefined): number {
  if (path === undefined) return process.stderr.fd;
  try {
    makeFoldersSync(dirname(path));
    return openSync(path, 'a');
  } catch (error) {
    throw new SwarmError(
      'invalid-argument',
      `the log cannot be written to ${path} (${messageOf(error)}): give another --log-file`,
      { cause: error },
    );
  }
}

function adapt(logger: Pino): Logger {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields: LogFields) => adapt(logger.child(fields)),
  };
}
