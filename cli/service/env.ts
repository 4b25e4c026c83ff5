/** Environment variables from flags, files and the environment that the CLI runs in. */
import { readFileSync } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `NAME=value` as it is; a bare `NAME` takes its value from `env`, where it has one. */
export function envEntry(text: string, env: Env): string {
  if (text === '' || text.startsWith('=')) throw new Error(`invalid environment variable: ${text}`);
  const value = text.includes('=') ? undefined : env[text];
  return value === undefined ? text : `${text}=${value}`;
}

export function envName(entry: string): string {
  return entry.split('=', 1)[0] ?? '';
}

/** The lines of an env file. Comments and empty lines are left out. */
export function readEnvFile(path: string, env: Env): string[] {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    // Node's words, without the name of the error and the path, which the sentence has already.
    const [reason] = messageOf(error)
      .replace(/^[A-Z]+: /, '')
      .split(', ');
    throw new Error(`open ${path}: ${reason}`, { cause: error });
  }
  const entries: string[] = [];
  for (const line of content.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const entry = line.trimStart();
    if (entry === '' || entry.startsWith('#')) continue;
    if (/\s/.test(envName(entry))) {
      throw new Error(
        `poorly formatted environment: variable '${envName(entry)}' contains whitespaces`,
      );
    }
    // A name alone is left out where the CLI's own environment does not have it.
    if (!entry.includes('=') && env[entry] === undefined) continue;
    entries.push(envEntry(entry, env));
  }
  return entries;
}
