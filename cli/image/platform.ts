/** `--platform` of verbs whose part of the API takes a platform as a document. */
import { commandError } from '../command/errors.ts';
import { text } from '../command/flags.ts';

/** `what` ends the sentence of the flag's help. */
export function platformFlag(what: string) {
  return text('platform', what);
}

/** "linux/arm64" or "linux/arm/v7" as the API has it. Throws where it is neither. */
export function platformJson(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const [os = '', architecture, variant, ...more] = given.toLowerCase().split('/');
  const parts = [os, architecture, variant ?? 'v1'];
  if (more.length > 0 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part ?? ''))) {
    throw commandError(
      `invalid platform "${given}": give OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as ` +
        'linux/arm64',
    );
  }
  return JSON.stringify({ architecture, os, variant });
}
