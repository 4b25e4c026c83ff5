import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../core/testdata');

/** The transcripts, by name. */
export function transcriptFiles(): { readonly name: string; readonly path: string }[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => ({ name: file.slice(0, -'.txt'.length), path: join(folder, file) }));
}
