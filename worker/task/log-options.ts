/** Where a container's log goes, as `--log-driver` and `--log-opt` have it. */
import { SwarmError } from '../../lib/errors.ts';
import {
  isRemoteLogDriver,
  logDriverOf,
  logDrivers,
  unknownLogOption,
  whyBadLogOptions,
  type LogDriver,
} from '../../types/index.ts';
import { extraAttributes, tagOf, type LoggedContainer } from '../runtime/logs/attributes.ts';
import { remoteLogConfig } from '../runtime/logs/remote/config.ts';
import type { LogConfig } from '../runtime/runtime.ts';

const mebibyte = 1024 * 1024;
const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: mebibyte,
  g: 1024 * mebibyte,
};

/** Docker's for its driver `local`; json-file, unbounded there, is bounded here as well. */
const defaultLogBounds = { maxSizeBytes: 20 * mebibyte, maxFiles: 5 };

/** `10m`; -1 is no bound. Undefined for what is no size. */
function parseLogSize(text: string): number | undefined {
  if (text === '-1') return Number.MAX_SAFE_INTEGER;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?$/i.exec(text.trim()) ?? [];
  const size = Number(number) * (units[unit.toLowerCase()] ?? Number.NaN);
  return size >= 1 ? Math.floor(size) : undefined;
}

/** Undefined for what is no number of files. */
function parseLogFiles(text: string): number | undefined {
  const count = Number(text);
  return Number.isSafeInteger(count) && count >= 1 ? count : undefined;
}

/** Throws `invalid-argument` in Docker's words for a driver or an option that there is not. */
export function logConfigOf(
  { name = '', options = {} }: { readonly name?: string; readonly options?: Options },
  container: LoggedContainer,
): LogConfig {
  const driver = logDriverOf(name);
  if (driver === undefined) {
    const known = logDrivers.join(', ');
    throw invalid(`logger: no log driver named '${name}' is registered: use one of ${known}`);
  }
  const unknown = unknownLogOption(driver, options);
  if (unknown !== undefined) throw invalid(`unknown log opt '${unknown}' for ${driver} log driver`);
  const why = whyBadLogOptions(options);
  if (why !== undefined) throw invalid(why);
  if (!isRemoteLogDriver(driver)) {
    const size = options['max-buffer-size'];
    return {
      driver,
      ...boundsOf(driver, options, ''),
      ...attributesOf(options, container),
      ...(options['mode'] === 'non-blocking'
        ? { ringBytes: size === undefined ? mebibyte : (parseLogSize(size) ?? mebibyte) }
        : {}),
    };
  }
  return {
    driver,
    ...boundsOf(driver, options, 'cache-'),
    remote: remoteLogConfig(driver, options, container),
    ...(/^(?:1|t|true)$/i.test(options['cache-disabled'] ?? '') ? { isUnkept: true } : {}),
  };
}

/** As json-file keeps them with each line; the driver `local` takes no such options. */
function attributesOf(options: Options, container: LoggedContainer): Pick<LogConfig, 'attributes'> {
  const { tag = '' } = options;
  const attributes = {
    ...extraAttributes(options, container),
    ...(tag === '' ? {} : { tag: tagOf(tag, options, container) }),
  };
  return Object.keys(attributes).length === 0 ? {} : { attributes };
}

type Options = Readonly<Record<string, string>>;

function boundsOf(driver: LogDriver, options: Options, prefix: string) {
  const size = options[`${prefix}max-size`];
  const files = options[`${prefix}max-file`];
  const maxSizeBytes = size === undefined ? defaultLogBounds.maxSizeBytes : parseLogSize(size);
  if (maxSizeBytes === undefined) throw invalid(`invalid size: '${size}'`);
  // As in Docker, a size alone leaves json-file one file.
  const isAlone = size !== undefined && driver === 'json-file';
  const filesDefault = isAlone ? 1 : defaultLogBounds.maxFiles;
  const maxFiles = files === undefined ? filesDefault : parseLogFiles(files);
  if (maxFiles === undefined) throw invalid(`invalid value for max-file: '${files}'`);
  return { maxSizeBytes, maxFiles };
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
