/** Docker's placeholders in a task's hostname, environment and mounts: a subset of Go templates. */
import { SwarmError } from './errors.ts';

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
  readonly task: { readonly id: string; readonly name: string; readonly slot: number };
}

/** For sentences. */
export const placeholders =
  '.Service.ID, .Service.Name, .Service.Labels.<name>, .Node.ID, .Node.Hostname, ' +
  '.Node.Platform.Architecture, .Node.Platform.OS, .Task.ID, .Task.Name or .Task.Slot';

/** Throws SwarmError `invalid-argument`, naming the placeholder that Docker does not have. */
export function expandTemplate(text: string, context: TemplateContext): string {
  if (!text.includes('{{')) return text;
  return text.replace(/\{\{-?\s*(.*?)\s*-?\}\}/g, (whole, expression: string) => {
    const value = evaluate(expression, context);
    if (value === undefined) {
      throw new SwarmError(
        'invalid-argument',
        `"${whole}" is not a placeholder: use ${placeholders}`,
      );
    }
    return value;
  });
}

/** Undefined for what is no placeholder. */
export function evaluate(
  expression: string,
  { service, node, task }: TemplateContext,
): string | undefined {
  const label =
    /^\.Service\.Labels\.([\w.-]+)$/.exec(expression)?.[1] ??
    /^index\s+\.Service\.Labels\s+"([^"]*)"$/.exec(expression)?.[1];
  // A label that is not there is empty, as a missing key of a Go map is.
  if (label !== undefined) return service.labels[label] ?? '';
  switch (expression) {
    case '.Service.ID':
      return service.id;
    case '.Service.Name':
      return service.name;
    case '.Node.ID':
      return node.id;
    case '.Node.Hostname':
      return node.hostname;
    case '.Node.Platform.Architecture':
      return node.architecture;
    case '.Node.Platform.OS':
      return node.os;
    case '.Task.ID':
      return task.id;
    case '.Task.Name':
      return task.name;
    case '.Task.Slot':
      return String(task.slot);
    default:
      return undefined;
  }
}
