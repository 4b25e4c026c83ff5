/** Who we are to a registry: basic credentials, or tokens from the service that it names. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { RegistryAuth } from '../images.ts';
import { isObject } from '../oci.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import type { Endpoint } from './endpoints.ts';
import { registryWords, requestWords, statusError } from './errors.ts';
import type { HttpClient } from './http.ts';

export interface AuthTarget {
  readonly endpoint: Endpoint;
  /** "library/busybox". */
  readonly path: string;
  readonly actions: 'pull' | 'pull,push';
  /** Repositories of the same registry that are read from besides. */
  readonly sources?: readonly string[];
  readonly auth: RegistryAuth | undefined;
}

interface Token {
  readonly value: string;
  readonly expiresMs: number;
}

/** A token that says nothing of its life lives so long; shorter ones are taken as this long. */
const minTokenLifeMs = 60_000;
/** A token is renewed this long before its end, so that it does not end on the way. */
const renewMarginMs = 10_000;
const maxTokens = 1024;
const maxTokenBytes = 256 * 1024;
const clientId = 'ts-swarm';

export class Authorizer {
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #isInsecure: (host: string) => Promise<boolean>;
  /** What each origin asked for last. */
  readonly #challenges = new Map<string, Challenge>();
  readonly #tokens = new Map<string, Token>();

  constructor(dependencies: {
    http: HttpClient;
    clock: Clock;
    isInsecure: (host: string) => Promise<boolean>;
  }) {
    this.#http = dependencies.http;
    this.#clock = dependencies.clock;
    this.#isInsecure = dependencies.isInsecure;
  }

  /** The Authorization header to send, as far as is known what the registry wants. */
  async header(target: AuthTarget, signal?: AbortSignal): Promise<string | undefined> {
    const auth = credentialsFor(target);
    if (auth?.registryToken) return `Bearer ${auth.registryToken}`;
    const challenge = this.#challenges.get(target.endpoint.origin);
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') return auth?.username ? basic(auth) : undefined;
    const key = tokenKey(target, challenge);
    const known = this.#tokens.get(key);
    if (known !== undefined && known.expiresMs - renewMarginMs > this.#clock.nowMs()) {
      return `Bearer ${known.value}`;
    }
    const token = await this.#fetchToken(target, challenge, signal);
    remember(this.#tokens, key, token);
    return `Bearer ${token.value}`;
  }

  /**
   * Takes in a 401: forgets the token that was refused, and notes what is asked for instead.
   * Throws `unauthenticated` where nothing we have could satisfy the registry.
   */
  learn(target: AuthTarget, request: { method: string; url: URL }, wwwAuthenticate = ''): void {
    const challenges = parseChallenges(wwwAuthenticate);
    const auth = credentialsFor(target);
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === 'bearer' && URL.canParse(parameters['realm'] ?? ''),
    );
    const chosen = bearer ?? challenges.find(({ scheme }) => scheme === 'basic');
    if (chosen === undefined) {
      const message = `${requestWords(request)}: unauthorized: authentication required`;
      throw new SwarmError('unauthenticated', message);
    }
    if (chosen.scheme === 'basic' && !auth?.username) {
      const message = `${requestWords(request)}: no basic auth credentials`;
      throw new SwarmError('unauthenticated', message);
    }
    remember(this.#challenges, target.endpoint.origin, chosen);
    this.#tokens.delete(tokenKey(target, chosen));
  }

  async #fetchToken(target: AuthTarget, challenge: Challenge, signal?: AbortSignal) {
    const realm = new URL(challenge.parameters['realm'] ?? '');
    const auth = credentialsFor(target);
    const insecure = await this.#isInsecure(realm.host);
    const secret = auth?.identityToken || auth?.username;
    if (secret && realm.protocol !== 'https:' && !insecure) {
      throw new SwarmError(
        'unauthenticated',
        `the registry asks for credentials to be sent unencrypted to ${realm.origin}; ` +
          `if that is meant, start the daemon with --insecure-registry ${realm.host}`,
      );
    }
    const service = challenge.parameters['service'];
    const query = new URLSearchParams(service === undefined ? {} : { service });
    for (const scope of scopesOf(target)) query.append('scope', scope);
    const common = { verifyTls: !insecure, ...(signal === undefined ? {} : { signal }) };
    const response = auth?.identityToken
      ? await this.#http.send({
          ...common,
          method: 'POST',
          url: realm,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: refreshForm(query, auth.identityToken),
        })
      : await this.#http.send({
          ...common,
          method: 'GET',
          url: withQuery(realm, query, auth?.username),
          headers: auth?.username ? { authorization: basic(auth) } : {},
        });
    const body = await response.bytes(maxTokenBytes);
    if (response.status === 401 || response.status === 403) {
      const words = registryWords(body) ?? 'authentication required';
      const prefixed = words.startsWith('unauthorized') ? words : `unauthorized: ${words}`;
      throw new SwarmError('unauthenticated', prefixed);
    }
    if (response.status !== 200) throw statusError('GET', realm, response.status, body);
    return readToken(body, realm, this.#clock.nowMs());
  }
}

function credentialsFor({ endpoint, auth }: AuthTarget): RegistryAuth | undefined {
  return endpoint.mirror ? undefined : auth;
}

function scopesOf({ path, actions, sources = [] }: AuthTarget): readonly string[] {
  if (path === '') return [];
  return [`repository:${path}:${actions}`, ...sources.map((name) => `repository:${name}:pull`)];
}

function tokenKey(target: AuthTarget, challenge: Challenge): string {
  const { realm = '', service = '' } = challenge.parameters;
  const secret = createHash('sha256')
    .update(JSON.stringify(credentialsFor(target) ?? {}))
    .digest('hex');
  return [target.endpoint.origin, realm, service, ...scopesOf(target), secret].join('\n');
}

function basic(auth: RegistryAuth): string {
  const pair = `${auth.username ?? ''}:${auth.password ?? ''}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function refreshForm(query: URLSearchParams, refreshToken: string): string {
  const form = new URLSearchParams(query);
  // A form has room for one scope of several words; a query repeats it.
  const scopes = query.getAll('scope');
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  form.set('grant_type', 'refresh_token');
  form.set('refresh_token', refreshToken);
  form.set('client_id', clientId);
  form.set('access_type', 'offline');
  return form.toString();
}

function withQuery(realm: URL, query: URLSearchParams, account: string | undefined): URL {
  const url = new URL(realm);
  for (const [name, value] of query) url.searchParams.append(name, value);
  if (account) url.searchParams.set('account', account);
  return url;
}

function readToken(body: Buffer, realm: URL, nowMs: number): Token {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    answer = undefined;
  }
  const fields = isObject(answer) ? answer : {};
  // Two names for the same: the first is Docker's, the second OAuth's.
  const value = [fields['token'], fields['access_token']].find(
    (token) => typeof token === 'string' && token !== '',
  );
  if (typeof value !== 'string') {
    throw new SwarmError(
      'unavailable',
      `the token service ${realm.origin} answered without a token; ask the registry's operator`,
    );
  }
  const life = fields['expires_in'];
  const lifeMs = typeof life === 'number' && Number.isFinite(life) ? life * 1000 : 0;
  return { value, expiresMs: nowMs + Math.max(minTokenLifeMs, lifeMs) };
}

/** Keeps the newest of a bounded number of entries. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > maxTokens && oldest !== undefined) map.delete(oldest);
}
