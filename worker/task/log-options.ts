/** Where a container's log goes, as `--log-driver` and `--log-opt` have it. */
import { assert } from '../../lib/assert.ts';
import { SwarmError } from '../../lib/errors.ts';
import {
  isRemoteLogDriver,
  logDriverOf,
  logDrivers,
  parseLogFiles,
  parseLogSize,
  unknownLogOption,
  whyBadLogOptions,
  type LogDriver,
} from '../../types/index.ts';
import { extraAttributes, tagOf, type LoggedContainer } from '../runtime/logs/attributes.ts';
import { remoteLogConfig } from '../runtime/logs/remote/config.ts';
import type { LogConfig } from '../runtime/runtime.ts';

const mebibyte = 1024 * 1024;
/** Docker's for its driver `local`; json-file, unbounded there, is bounded here as well. */
const defaultLogBounds = { maxSizeBytes: 20 * mebibyte, maxFiles: 5 };

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
  // As in Docker, a size alone leaves json-file one file.
  const isAlone = size !== undefined && driver === 'json-file';
  const filesDefault = isAlone ? 1 : defaultLogBounds.maxFiles;
  const maxFiles = files === undefined ? filesDefault : parseLogFiles(files);
  const isChecked = maxSizeBytes !== undefined && maxFiles !== undefined;
  assert(isChecked, 'the options of a log have been checked');
  return { maxSizeBytes, maxFiles };
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
