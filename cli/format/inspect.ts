/** Prints objects as Docker's `inspect` does: one JSON list, or a template for each. */
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Output } from './output.ts';
import { unescape } from './list.ts';

/**
 * Gets each reference and prints what was found; what was not is told at the end, with exit code 1.
 * `optional`: field names that an object of this kind may leave out of its JSON.
 */
export async function printInspected(
  out: Output,
  references: readonly string[],
  get: (reference: string) => Promise<unknown>,
  options: { readonly format: string | undefined; readonly optional: ReadonlySet<string> },
): Promise<void> {
  const found: unknown[] = [];
  const errors: string[] = [];
  for (const reference of references) {
    try {
      found.push(await get(reference));
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  const format = options.format ?? '';
  if (format === '') out.line(found.length === 0 ? '[]' : JSON.stringify(found, null, 4));
  else {
    const { compileTemplate, goValue } = await import('./template.ts');
    const template = compileTemplate(format === 'json' ? '{{json .}}' : unescape(format), {
      optional: (name) => options.optional.has(name),
    });
    for (const object of found) out.line(template.run(goValue(object)));
  }
  if (errors.length > 0) throw new SwarmError('not-found', errors.join('\n'));
}
