/** Composes files that a test holds as texts. */
import { messageOf } from '../lib/errors.ts';
import { compose, type Composed, type LoadOptions } from './index.ts';

export interface Given {
  /** By absolute path; /p/compose.yaml is the one that is read where `load` names none. */
  readonly files: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly load?: Partial<LoadOptions>;
}

export function composeTexts({ files, env = {}, load = {} }: Given): Composed {
  return compose(
    { name: 'shop', files: ['/p/compose.yaml'], profiles: [], ...load },
    {
      readFile(path) {
        const text = files[path];
        return text === undefined ? undefined : new TextEncoder().encode(text);
      },
      env: { HOME: '/home/me', ...env },
      shownPath: (path) => path.replace(/^\/p\//, ''),
    },
    shortHash,
  );
}

export function composeText(text: string, more: Partial<Given> = {}): Composed {
  return composeTexts({ ...more, files: { '/p/compose.yaml': text, ...more.files } });
}

/** The lines of what is wrong; none where all is well. */
export function errorsOf(given: Given): readonly string[] {
  try {
    composeTexts(given);
    return [];
  } catch (error) {
    return messageOf(error).split('\n');
  }
}

/** Lines as they stand in a service of a file. */
export function indented(lines: string): string {
  return lines.replaceAll(/^/gm, '    ');
}

/** Six digits that differ where contents do, which is all that tests look at. */
function shortHash(content: Uint8Array, salt: string): string {
  const hash = [...new TextEncoder().encode(salt), ...content].reduce(
    (sum, byte) => (sum * 31 + byte) % 0xffffff,
    7,
  );
  return hash.toString(16).padStart(6, '0');
}
