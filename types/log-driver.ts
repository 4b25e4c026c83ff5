/** Where containers' output goes: the drivers, and the options that each of them takes. */
export const logDrivers = ['json-file', 'local', 'syslog', 'journald', 'none'] as const;
export type LogDriver = (typeof logDrivers)[number];

/** Those that send elsewhere: what they sent is also kept here for a while, to be read. */
const remoteLogDrivers = ['syslog', 'journald'] as const;
export type RemoteLogDriver = (typeof remoteLogDrivers)[number];

const pacing = ['mode', 'max-buffer-size'];
const attributes = ['labels', 'labels-regex', 'env', 'env-regex', 'tag'];
const kept = ['cache-disabled', 'cache-max-size', 'cache-max-file'];
const optionsOf: Readonly<Record<LogDriver, readonly string[]>> = {
  'json-file': ['max-size', 'max-file', 'compress', ...attributes, ...pacing],
  local: ['max-size', 'max-file', 'compress', ...pacing],
  syslog: [
    'syslog-address',
    'syslog-facility',
    'syslog-format',
    'syslog-tls-ca-cert',
    'syslog-tls-cert',
    'syslog-tls-key',
    'syslog-tls-skip-verify',
    ...attributes,
    ...pacing,
    ...kept,
  ],
  journald: [...attributes, ...pacing, ...kept],
  none: [],
};

/** The driver of this name; an empty name is the default. Undefined for one that there is not. */
export function logDriverOf(name: string): LogDriver | undefined {
  return logDrivers.find((known) => known === (name || 'json-file'));
}

export function isRemoteLogDriver(driver: LogDriver): driver is RemoteLogDriver {
  return remoteLogDrivers.some((known) => known === driver);
}

/** The first of the options that the driver does not know. */
export function unknownLogOption(
  driver: LogDriver,
  options: Readonly<Record<string, string>>,
): string | undefined {
  return Object.keys(options).find((key) => !optionsOf[driver].includes(key));
}

export function logOptionNames(driver: LogDriver): readonly string[] {
  return optionsOf[driver];
}

const facilities = 'kern user mail daemon auth syslog lpr news uucp cron authpriv ftp'.split(' ');
const syslogFormats = ['', 'rfc3164', 'rfc5424', 'rfc5424micro'] as const;
export type SyslogFormat = (typeof syslogFormats)[number];

/** A name or a number as the protocol has it; `daemon` where there is none. */
export function syslogFacility(text = ''): number | undefined {
  if (text === '') return facilities.indexOf('daemon');
  if (facilities.includes(text)) return facilities.indexOf(text);
  const local = /^local([0-7])$/.exec(text)?.[1];
  if (local !== undefined) return 16 + Number(local);
  return /^\d{1,2}$/.test(text) && Number(text) <= 23 ? Number(text) : undefined;
}

export type SyslogAddress =
  | { readonly kind: 'local' }
  | { readonly kind: 'unix' | 'unixgram'; readonly path: string }
  | { readonly kind: 'udp' | 'tcp' | 'tcp+tls'; readonly host: string; readonly port: number };

const syslogPort = 514;

/** `udp://10.0.0.9:514`, `unix:///dev/log`; none: the node's own. Undefined for what is none. */
export function syslogAddress(text = ''): SyslogAddress | undefined {
  if (text === '') return { kind: 'local' };
  const [, path] = /^(?:unix|unixgram):\/\/(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) return { kind: text.startsWith('unix:') ? 'unix' : 'unixgram', path };
  const [, kind, v6, name, port = String(syslogPort)] =
    /^(udp|tcp|tcp\+tls):\/\/(?:\[([0-9a-fA-F:.%]+)\]|([^:/[\]]+))(?::(\d{1,5}))?$/.exec(text) ??
    [];
  const host = v6 ?? name;
  if (kind === undefined || host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    return undefined;
  }
  return { kind: kind as 'udp', host, port: Number(port) };
}

const isBoolean = (text: string) => /^(?:1|t|true|0|f|false)$/i.test(text);
const isSize = (text: string) => /^\d+(?:\.\d+)?\s*[kmg]?i?b?$/i.test(text);

function isExpression(text: string): boolean {
  try {
    return new RegExp(text).source !== '';
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

const mebibyte = 1024 * 1024;
const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: mebibyte,
  g: 1024 * mebibyte,
};

/** `10m`, in bytes; -1 is no bound. Undefined for what is no size. */
export function parseLogSize(text: string): number | undefined {
  if (text === '-1') return Number.MAX_SAFE_INTEGER;
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?$/i.exec(text.trim()) ?? [];
  const size = Number(number) * (units[unit.toLowerCase()] ?? Number.NaN);
  return size >= 1 ? Math.floor(size) : undefined;
}

const isBound = (text: string) => text !== '-1' && parseLogSize(text) !== undefined;

/** Undefined for what is no number of files. */
export function parseLogFiles(text: string): number | undefined {
  const count = Number(text);
  return Number.isSafeInteger(count) && count >= 1 ? count : undefined;
}

/** What is wrong with the options of a driver; undefined: nothing. */
export function whyBadLogOptions(options: Readonly<Record<string, string>>): string | undefined {
  const { mode = '', 'max-buffer-size': buffer, compress } = options;
  if (!['', 'blocking', 'non-blocking'].includes(mode)) {
    return `logger: logging mode not supported: ${mode}`;
  }
  if (buffer !== undefined && mode !== 'non-blocking') {
    return "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
  }
  if (compress !== undefined && /^(?:1|t|true)$/i.test(compress)) {
    return 'the log option compress is not supported: older files are kept as they are; leave it out';
  }
  const { 'max-size': size, 'max-file': files } = options;
  if (size !== undefined && parseLogSize(size) === undefined) return `invalid size: '${size}'`;
  if (files !== undefined && parseLogFiles(files) === undefined) {
    return `invalid value for max-file: '${files}'`;
  }
  const checks: readonly (readonly [string, (text: string) => boolean, string])[] = [
    ['syslog-facility', (text) => syslogFacility(text) !== undefined, 'kern … local7, or 0 to 23'],
    [
      'syslog-address',
      (text) => syslogAddress(text) !== undefined,
      'udp://HOST:PORT, tcp://HOST:PORT, tcp+tls://HOST:PORT, unix:///PATH or unixgram:///PATH',
    ],
    [
      'syslog-format',
      (text) => syslogFormats.some((known) => known === text),
      'rfc3164, rfc5424 or rfc5424micro',
    ],
    ['labels-regex', isExpression, 'a regular expression'],
    ['env-regex', isExpression, 'a regular expression'],
    ['compress', isBoolean, 'true or false'],
    ['max-buffer-size', isSize, 'a size such as 4m'],
    ['cache-max-size', isBound, 'a size such as 20m'],
    ['cache-max-file', (text) => /^[1-9]\d{0,3}$/.test(text), 'a number of files'],
    ['cache-disabled', isBoolean, 'true or false'],
  ];
  for (const [key, isGood, known] of checks) {
    const value = options[key];
    if (value !== undefined && !isGood(value)) {
      return `the log option ${key} is "${value}", and can be ${known}`;
    }
  }
  return undefined;
}
