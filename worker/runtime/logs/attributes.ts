/** What a log says of its container besides the lines, as its options ask for it. Pure. */
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import {
  dockerFunctions,
  execute,
  parseTemplate,
  StringMap,
  TemplateError,
} from '../../../lib/go-template/index.ts';

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

/**
 * Docker's placeholders: `{{.Name}}/{{.ID}}`, `{{.ImageName}}`, `{{index .ContainerLabels "x"}}`.
 */
export function tagOf(template: string, options: Options, container: LoggedContainer): string {
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
    // Docker's takes a function for the keys, which is always nil in a tag.
    ExtraAttributes: () => new StringMap(extraAttributes(options, container)),
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

/** The labels and variables that `labels`, `labels-regex`, `env` and `env-regex` name. */
export function extraAttributes(options: Options, { env, labels }: LoggedContainer): Options {
  const variables = Object.fromEntries(
    env.map((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  ) as Options;
  return {
    ...chosen(labels, options['labels'], options['labels-regex']),
    ...chosen(variables, options['env'], options['env-regex']),
  };
}

function chosen(values: Options, names = '', expression = ''): Options {
  const wanted = new Set(names.split(',').filter(Boolean));
  const pattern = expression === '' ? undefined : new RegExp(expression);
  return Object.fromEntries(
    Object.entries(values).filter(([key]) => wanted.has(key) || pattern?.test(key) === true),
  );
}
