/** Docker's templates in the content of secrets and configs. */
import { SwarmError } from '../../lib/errors.ts';
import { TemplateError } from '../../lib/go-template/index.ts';
import { expanded, placeholders, type TemplateContext } from '../../lib/template.ts';
import type { FileKind } from '../../types/index.ts';

export interface FileContext extends TemplateContext {
  /** The environment that the task's spec gives the container: "NAME=value". */
  readonly env: readonly string[];
  /** Another of the task's files, by the target that it has there; undefined: there is none. */
  readonly file: (kind: FileKind, target: string) => Uint8Array | undefined;
  /** For sentences: "secret tls-key". */
  readonly what: string;
}

/**
 * Bytes that are no text stay as they are. Throws SwarmError `invalid-argument`, naming the line
 * that cannot be filled in.
 */
export function expandFile(content: Uint8Array, context: FileContext): Uint8Array {
  // A character of the text stands for a byte, in what is filled in as well.
  const bytesOf = (value: string | Uint8Array) => Buffer.from(value).toString('latin1');
  const { service, node, task, env, what } = context;
  let refusal: SwarmError | undefined;
  const file = (kind: FileKind) => (target: unknown) => {
    // The name came as bytes, too.
    const name = Buffer.from(String(target), 'latin1').toString();
    const found = context.file(kind, name);
    if (found !== undefined) return bytesOf(found);
    refusal = new SwarmError(
      'invalid-argument',
      `the ${what} names the ${kind} target "${name}", which the task does not have`,
    );
    throw refusal;
  };
  const valueOf = (name: unknown) => {
    const wanted = Buffer.from(String(name), 'latin1').toString();
    const line = env.find((one) => one.startsWith(`${wanted}=`));
    return bytesOf(line?.slice(wanted.length + 1) ?? '');
  };
  const labels = Object.entries(service.labels).map(([key, value]) => [key, bytesOf(value)]);
  const asBytes: TemplateContext = {
    service: { ...service, labels: Object.fromEntries(labels) as Record<string, string> },
    node: { ...node, hostname: bytesOf(node.hostname) },
    task,
  };
  try {
    const text = Buffer.from(content).toString('latin1');
    const functions = { env: valueOf, secret: file('secret'), config: file('config') };
    return Buffer.from(expanded(text, asBytes, functions), 'latin1');
  } catch (error) {
    if (refusal !== undefined) throw refusal;
    if (!(error instanceof TemplateError)) throw error;
    // Not the template itself, which may be a secret: the sentence is seen by many.
    const line = /^template: :(\d+)/.exec(error.message)?.[1];
    throw new SwarmError(
      'invalid-argument',
      `what stands between braces in the ${what}${line === undefined ? '' : `, line ${line},`} is ` +
        `no template that can be filled in: use ${placeholders}, ` +
        'env "NAME", secret "TARGET" or config "TARGET"',
    );
  }
}
