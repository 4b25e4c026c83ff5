/** What .dockerignore leaves out, as the client's FileSync service takes it. Pure. */
import { posix } from 'node:path';

/** Lines without comments, as clean paths below the context; "!" takes back. */
export function ignoredPatterns(text: string): readonly string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '!')
    .map((line) => {
      const isKept = line.startsWith('!');
      const clean = posix.normalize((isKept ? line.slice(1) : line).trim()).replace(/\/+$/, '');
      const path = clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
      return isKept ? `!${path}` : path;
    })
    .filter((pattern) => pattern !== '' && pattern !== '!');
}
