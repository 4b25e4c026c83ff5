/** What a registry does beside holding images: it knows users, and some can be searched. */
import { SwarmError } from '../../../lib/errors.ts';
import { isObject } from '../oci.ts';
import { defaultDomain } from '../reference.ts';
import type { Asker, FailedAnswer } from './asker.ts';
import type { Endpoint } from './endpoints.ts';
import { registryWords, requestWords, statusError } from './errors.ts';

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly isOfficial: boolean;
  readonly isAutomated: boolean;
}

const maxResultBytes = 4 * 1024 * 1024;

/** Docker Hub is searched under another name than its images are at. */
export const hubSearchEndpoint: Endpoint = {
  origin: 'https://index.docker.io',
  verifyTls: true,
  mirror: false,
};

export function serviceError({ method, url, status, body }: FailedAnswer): SwarmError {
  if (status !== 401 && status !== 403) return statusError(method, url, status, body);
  const words = registryWords(body) ?? 'unauthorized: incorrect username or password';
  return new SwarmError('unauthenticated', `${requestWords({ method, url })}: ${words}`);
}

/** Resolves where the registry lets the credentials in. Throws `unauthenticated` where not. */
export async function checkLogin(asker: Asker, signal?: AbortSignal): Promise<void> {
  const ask = { method: 'GET', resource: '', headers: {}, accept: [200], signal } as const;
  const response = await asker.retried(signal, () => asker.ask(ask));
  response.discard();
}

/** Throws `not-found` for a registry without a search, which most are. */
export async function searchIn(
  asker: Asker,
  domain: string,
  query: { readonly term: string; readonly limit: number },
  signal?: AbortSignal,
): Promise<readonly SearchResult[]> {
  const words = new URLSearchParams({ q: query.term, n: String(query.limit) });
  const response = await asker.retried(signal, () =>
    asker.ask({
      method: 'GET',
      resource: `/v1/search?${words.toString()}`,
      headers: {},
      accept: [200, 404],
      signal,
    }),
  );
  if (response.status === 404) {
    response.discard();
    throw new SwarmError(
      'not-found',
      `the registry ${domain} cannot be searched: it offers no /v1/search, as few but ` +
        `${defaultDomain} do`,
    );
  }
  return readResults(await response.bytes(maxResultBytes)).slice(0, query.limit);
}

function readResults(bytes: Buffer): readonly SearchResult[] {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    const message = 'the registry answers the search with what is not JSON';
    throw new SwarmError('failed-precondition', message, { cause });
  }
  const results: unknown = isObject(document) ? document['results'] : undefined;
  const list: unknown[] = Array.isArray(results) ? results : [];
  return list.filter(isObject).map((result) => {
    const text = (key: string) => (typeof result[key] === 'string' ? result[key] : '');
    return {
      name: text('name'),
      description: text('description'),
      stars: typeof result['star_count'] === 'number' ? result['star_count'] : 0,
      isOfficial: result['is_official'] === true,
      isAutomated: result['is_automated'] === true,
    };
  });
}
