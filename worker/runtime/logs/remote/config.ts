/** What is known of a container when its output is sent elsewhere, from its options. Pure. */
import { messageOf, SwarmError } from '../../../../lib/errors.ts';
import {
  dockerFunctions,
  execute,
  parseTemplate,
  StringMap,
  TemplateError,
} from '../../../../lib/go-template/index.ts';
import { parseBytes } from '../../../../lib/units.ts';
import {
  syslogAddress,
  syslogFacility,
  whyBadRemote,
  type RemoteLogDriver,
  type SyslogAddress,
  type SyslogFormat,
} from '../../../../types/index.ts';

export interface SyslogConfig {
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
  readonly bufferBytes: number;
}

export interface JournaldConfig {
  readonly kind: 'journald';
  readonly fields: Readonly<Record<string, string>>;
  readonly bufferBytes: number;
}

export type RemoteLogConfig = SyslogConfig | JournaldConfig;

/** What tags may name. */
export interface LoggedContainer {
  /** Docker's: 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly argv: readonly string[];
  readonly imageId: string;
  readonly imageName: string;
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

type Options = Readonly<Record<string, string>>;

const shortLength = 12;
/** Docker's. */
const bufferBytes = 1024 * 1024;
const defaultTag = '{{.ID}}';

/** Throws `invalid-argument` for options that are no good. */
export function remoteLogConfig(
  driver: RemoteLogDriver,
  options: Options,
  container: LoggedContainer,
): RemoteLogConfig {
  const why = whyBadRemote(options);
  if (why !== undefined) throw new SwarmError('invalid-argument', why);
  const tag = tagOf(options['tag'] || defaultTag, container);
  const size = options['max-buffer-size'];
  const common = { bufferBytes: size === undefined ? bufferBytes : parseBytes(size) };
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

/** Docker's placeholders: `{{.Name}}/{{.ID}}`, `{{.ImageName}}`, `{{index .ContainerLabels "x"}}`. */
function tagOf(template: string, container: LoggedContainer): string {
  const { id, name, argv, imageId, imageName, env, labels } = container;
  const image = imageId.replace(/^sha256:/, '');
  const data = {
    ID: id.slice(0, shortLength),
    FullID: id,
    Name: name,
    ImageID: image.slice(0, shortLength),
    ImageFullID: imageId,
    ImageName: imageName,
    Command: argv.join(' '),
    DaemonName: 'docker',
    ContainerID: id,
    ContainerName: `/${name}`,
    ContainerImageID: imageId,
    ContainerImageName: imageName,
    ContainerEntrypoint: argv[0] ?? '',
    ContainerArgs: argv.slice(1),
    ContainerEnv: env,
    ContainerLabels: new StringMap(labels),
  };
  try {
    const parsed = parseTemplate(template, new Set(Object.keys(dockerFunctions)));
    return execute(parsed, data, { functions: dockerFunctions, optional: () => false });
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new SwarmError('invalid-argument', `the log option tag: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function journalFields(
  options: Options,
  { id, name, imageName, env, labels }: LoggedContainer,
  tag: string,
): Readonly<Record<string, string>> {
  const variables = Object.fromEntries(
    env.map((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  ) as Options;
  return {
    CONTAINER_ID: id.slice(0, shortLength),
    CONTAINER_ID_FULL: id,
    CONTAINER_NAME: name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: imageName,
    SYSLOG_IDENTIFIER: tag,
    ...chosen(labels, options['labels'], options['labels-regex']),
    ...chosen(variables, options['env'], options['env-regex']),
  };
}

/** What is named, and what the expression matches, under names that a journal takes. */
function chosen(values: Options, names = '', expression = ''): Options {
  const wanted = new Set(names.split(',').filter(Boolean));
  const pattern = expression === '' ? undefined : compiled(expression);
  return Object.fromEntries(
    Object.entries(values)
      .filter(([key]) => wanted.has(key) || pattern?.test(key) === true)
      .map(([key, value]) => [fieldName(key), value] as const)
      .filter(([key]) => key !== ''),
  );
}

function compiled(expression: string): RegExp {
  try {
    return new RegExp(expression);
  } catch (error) {
    throw new SwarmError('invalid-argument', `"${expression}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Capitals, digits and `_`, which is not the first. */
function fieldName(key: string): string {
  return key
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '');
}
