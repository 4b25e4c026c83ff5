import { readFileSync } from 'node:fs';

interface PackageJson {
  readonly version: string;
}

/** The package's version; package.json is one folder up in the sources, two in the build. */
export const version = readVersion();

function readVersion(): string {
  const inBuild = import.meta.url.endsWith('.js');
  const url = new URL(inBuild ? '../../package.json' : '../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as PackageJson).version;
}
