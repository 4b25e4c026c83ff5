/** What is known of a container when its output is sent elsewhere, from its options. Pure. */
import { SwarmError } from '../../../../lib/errors.ts';
import { parseBytes } from '../../../../lib/units.ts';
import {
  syslogAddress,
  syslogFacility,
  whyBadLogOptions,
  type RemoteLogDriver,
  type SyslogAddress,
  type SyslogFormat,
} from '../../../../types/index.ts';
import { extraAttributes, tagOf, type LoggedContainer } from '../attributes.ts';

export interface SyslogConfig extends Pace {
  readonly kind: 'syslog';
  readonly address: SyslogAddress;
  readonly facility: number;
  readonly format: SyslogFormat;
  readonly tag: string;
  /** Paths of the node. */
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly isUnverified: boolean;
  };
}

export interface JournaldConfig extends Pace {
  readonly kind: 'journald';
  readonly fields: Readonly<Record<string, string>>;
}

export type RemoteLogConfig = SyslogConfig | JournaldConfig;

type Options = Readonly<Record<string, string>>;

const shortLength = 12;
/** Docker's. */
const bufferBytes = 1024 * 1024;
const defaultTag = '{{.ID}}';

interface Pace {
  /** Lines wait in so much memory. */
  readonly bufferBytes: number;
  /** A container waits for its server once that is full; else lines are lost, and counted. */
  readonly isBlocking: boolean;
}

/** Throws `invalid-argument` for options that are no good. */
export function remoteLogConfig(
  driver: RemoteLogDriver,
  options: Options,
  container: LoggedContainer,
): RemoteLogConfig {
  const why = whyBadLogOptions(options);
  if (why !== undefined) throw new SwarmError('invalid-argument', why);
  const tag = tagOf(options['tag'] || defaultTag, options, container);
  const size = options['max-buffer-size'];
  const common = {
    bufferBytes: size === undefined ? bufferBytes : parseBytes(size),
    isBlocking: options['mode'] === 'blocking',
  };
  if (driver === 'journald') {
    return { kind: 'journald', fields: journalFields(options, container, tag), ...common };
  }
  const { 'syslog-tls-ca-cert': ca, 'syslog-tls-cert': cert, 'syslog-tls-key': key } = options;
  return {
    kind: 'syslog',
    address: syslogAddress(options['syslog-address']) ?? { kind: 'local' },
    facility: syslogFacility(options['syslog-facility']) ?? 0,
    format: (options['syslog-format'] ?? '') as SyslogFormat,
    tag,
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      // As in Docker, that it is there at all says it.
      isUnverified: options['syslog-tls-skip-verify'] !== undefined,
    },
    ...common,
  };
}

function journalFields(
  options: Options,
  container: LoggedContainer,
  tag: string,
): Readonly<Record<string, string>> {
  const { id, name, imageName } = container;
  const chosen = Object.entries(extraAttributes(options, container))
    .map(([key, value]) => [fieldName(key), value] as const)
    .filter(([key]) => key !== '');
  return {
    CONTAINER_ID: id.slice(0, shortLength),
    CONTAINER_ID_FULL: id,
    CONTAINER_NAME: name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: imageName,
    SYSLOG_IDENTIFIER: tag,
    ...Object.fromEntries(chosen),
  };
}

/** Capitals, digits and `_`, which is not the first. */
function fieldName(key: string): string {
  return key
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '');
}
