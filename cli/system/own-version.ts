/** The version of the package that this file is part of. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';

export function ownVersion(): string {
  // The package's root is two folders up; three where this file is compiled, in dist/.
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const found = versionIn(join(folder, 'package.json'));
    if (found !== undefined) return found;
  }
  return 'unknown';
}

function versionIn(path: string): string | undefined {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = JSON.parse(content) as { name?: string; version?: string };
  return parsed.name === 'ts-swarm' ? parsed.version : undefined;
}
