/** Finds the route of a request, and the API version that it speaks. */
import { SwarmError } from '../lib/errors.ts';
import { apiVersionMax, apiVersionMin } from './convert/info.ts';
import type { Exchange } from './exchange.ts';

export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** `{id}` takes what is between two slashes, `{name...}` takes slashes too. */
  readonly path: string;
  readonly handle: (exchange: Exchange) => Promise<void> | void;
}

interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export class Router {
  readonly #routes: readonly { readonly route: Route; readonly pattern: RegExp }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, pattern: patternOf(route.path) }));
  }

  /** `path` is without the version. Throws `not-found` as Docker does. */
  match(method: string, path: string): Match {
    for (const { route, pattern } of this.#routes) {
      if (route.method !== method) continue;
      const found = pattern.exec(path);
      if (found === null) continue;
      const names = Object.entries(found.groups ?? {});
      return {
        route,
        params: Object.fromEntries(names.map(([name, value]) => [name, unescape(value)])),
      };
    }
    throw new SwarmError('not-found', 'page not found');
  }
}

const maxMinor = minorOf(apiVersionMax);
const minMinor = minorOf(apiVersionMin);

/** Splits "/v1.41/info" into 41 and "/info". Throws `invalid-argument` for a version out of range. */
export function splitVersion(path: string): { minor: number; path: string } {
  const found = /^\/v(\d{1,4}(?:\.\d{1,4}){0,3})(\/.*)$/.exec(path);
  if (found === null) return { minor: maxMinor, path };
  const [, version = '', rest = '/'] = found;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 1 || (major === 1 && minor > maxMinor)) {
    throw new SwarmError(
      'invalid-argument',
      `client version ${version} is too new. Maximum supported API version is ${apiVersionMax}`,
    );
  }
  if (major < 1 || minor < minMinor) {
    throw new SwarmError(
      'invalid-argument',
      `client version ${version} is too old. Minimum supported API version is ${apiVersionMin}, ` +
        'please upgrade your client to a newer version',
    );
  }
  return { minor, path: rest };
}

function minorOf(version: string): number {
  return Number(version.split('.')[1]);
}

function patternOf(path: string): RegExp {
  const source = path
    .replaceAll(/[.*+?^$()|[\]\\]/g, (character) => (character === '.' ? '.' : `\\${character}`))
    .replaceAll(/\{(\w+)\.\.\.\}/g, '(?<$1>.+)')
    .replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return new RegExp(`^${source}$`);
}

function unescape(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new SwarmError('invalid-argument', `"${part}" in the path is not a valid escape`, {
      cause: error,
    });
  }
}
