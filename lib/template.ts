/**
 * Docker's templates in a task's hostname, environment and mounts, and in secrets and configs: Go's
 * text/template, and what is known of service, node and task.
 */
import { SwarmError } from './errors.ts';
import {
  execute,
  goFunctions,
  parseTemplate,
  StringMap,
  TemplateError,
  type TemplateFunction,
} from './go-template/index.ts';

export interface TemplateContext {
  readonly service: {
    readonly id: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly node: {
    readonly id: string;
    readonly hostname: string;
    readonly architecture: string;
    readonly os: string;
  };
  /** The slot of a task that has none is its node's id, as in Docker. */
  readonly task: { readonly id: string; readonly name: string; readonly slot: number | string };
}

/** For sentences. */
export const placeholders =
  '.Service.ID, .Service.Name, .Service.Labels.<name>, .Node.ID, .Node.Hostname, ' +
  '.Node.Platform.Architecture, .Node.Platform.OS, .Task.ID, .Task.Name or .Task.Slot';

/** What a template is tried with before there is a task. */
const sampleContext: TemplateContext = {
  service: { id: 'id', name: 'name', labels: {} },
  node: { id: 'id', hostname: 'host', architecture: 'x86_64', os: 'linux' },
  task: { id: 'id', name: 'name', slot: 1 },
};

/** Of swarm's own, besides Go's: `join` has its separator first. */
const ownFunctions: Readonly<Record<string, TemplateFunction>> = {
  join: (separator = '', ...texts) => texts.map(String).join(String(separator)),
};

/** Throws SwarmError `invalid-argument`, naming the template and what is wrong with it. */
export function expandTemplate(text: string, context: TemplateContext): string {
  try {
    return expanded(text, context);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new SwarmError(
      'invalid-argument',
      `"${text}" is not a template that can be filled in (${error.message}): use ${placeholders}`,
      { cause: error },
    );
  }
}

/** As `expandTemplate`, with functions besides Go's. Throws TemplateError. */
export function expanded(
  text: string,
  context: TemplateContext,
  more: Readonly<Record<string, TemplateFunction>> = {},
): string {
  if (!text.includes('{{')) return text;
  const functions = { ...goFunctions, ...ownFunctions, ...more };
  const parsed = parseTemplate(withLabels(text), new Set(Object.keys(functions)));
  return execute(parsed, dataOf(context), { functions, optional: () => false });
}

/**
 * Why the text can never be filled in; undefined where it may well be. What depends on how things
 * are called is known on the node only.
 */
export function whyUnfillable(
  text: string,
  more: Readonly<Record<string, TemplateFunction>> = {},
): string | undefined {
  try {
    expanded(text, sampleContext, more);
    return undefined;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return error.message.includes('error calling') ? undefined : error.message;
  }
}

/** Labels' names have dots and dashes, which Go's fields have not: here they need no `index`. */
function withLabels(text: string): string {
  return text.replace(/\{\{.*?\}\}/gs, (action) =>
    action.replace(/\.Service\.Labels\.([\w.-]*[\w])/g, (whole, name: string) =>
      /[.-]/.test(name) ? `(index .Service.Labels ${JSON.stringify(name)})` : whole,
    ),
  );
}

function dataOf({ service, node, task }: TemplateContext) {
  return {
    Service: { ID: service.id, Name: service.name, Labels: new StringMap(service.labels) },
    Node: {
      ID: node.id,
      Hostname: node.hostname,
      Platform: { Architecture: node.architecture, OS: node.os },
    },
    Task: { ID: task.id, Name: task.name, Slot: String(task.slot) },
  };
}
