import { pino, type Logger as Pino } from 'pino';
import type { LogFields, Logger } from '../lib/log.ts';
import type { DaemonOptions } from './options.ts';

/** JSON lines on standard error or in a file; errors in fields are written with their causes. */
export function createLogger(options: Pick<DaemonOptions, 'logLevel' | 'logFile'>): Logger {
  const destination = pino.destination({ dest: options.logFile ?? 2, mkdir: true, sync: false });
  const base = pino(
    {
      level: options.logLevel,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
      redact: ['joinToken', 'registryAuth', 'password'],
    },
    destination,
  );
  return adapt(base);
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
