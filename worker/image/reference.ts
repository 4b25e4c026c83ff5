/** Image names, by the grammar that Docker uses: "web", "host:5000/team/web:1", "web@sha256:…". */
import { SwarmError } from '../../lib/errors.ts';

export interface Reference {
  /** "docker.io", "10.99.0.254:5000", "[::1]:5000". */
  readonly domain: string;
  /** "library/busybox": always with its namespace. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

export const defaultDomain = 'docker.io';
const legacyDomain = 'index.docker.io';
const officialNamespace = 'library/';
const maxNameLength = 255;

const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domainPattern = new RegExp(
  `^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const pathComponent = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const digestLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };
const idPattern = /^[a-f0-9]{64}$/;

/**
 * Reads a name in its familiar or its full form. No tag is filled in; see `withDefaultTag`.
 * Throws `invalid-argument` with "invalid reference format" and what is wrong.
 */
export function parseReference(text: string): Reference {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const tag = colon > named.lastIndexOf('/') ? named.slice(colon + 1) : undefined;
  const name = tag === undefined ? named : named.slice(0, colon);

  if (name === '') throw invalid(text, 'it has no name');
  if (idPattern.test(name)) {
    throw invalid(text, 'a name of 64 hexadecimal characters would look like an image id');
  }
  const { domain, path } = splitDomain(name);
  if (!domainPattern.test(domain)) throw invalid(text, `${JSON.stringify(domain)} is no host`);
  if (path !== path.toLowerCase()) {
    throw invalid(text, `repository name (${path}) must be lowercase`);
  }
  if (!pathPattern.test(path)) {
    throw invalid(text, `${JSON.stringify(path)} is no repository name`);
  }
  if (domain.length + 1 + path.length > maxNameLength) {
    throw invalid(text, `repository name must not be more than ${maxNameLength} characters`);
  }
  if (tag !== undefined && !tagPattern.test(tag)) {
    throw invalid(text, `${JSON.stringify(tag)} is no tag`);
  }
  if (digest !== undefined && !isDigest(digest)) {
    throw invalid(text, `${JSON.stringify(digest)} is no digest`);
  }
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** As `parseReference`, but undefined for what is no name: it may still be the start of an id. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (thrown) {
    if (thrown instanceof SwarmError) return undefined;
    throw thrown;
  }
}

/** "sha256:" and 64 lower-case hexadecimal digits, or another algorithm that registries use. */
export function isDigest(text: string): boolean {
  if (!digestPattern.test(text)) return false;
  const [algorithm = '', hex = ''] = text.split(':');
  return digestLengths[algorithm] === hex.length && hex === hex.toLowerCase();
}

/** ":latest" where there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: 'latest' };
}

/** "docker.io/library/busybox": without tag and digest. */
export function canonicalName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** "docker.io/library/busybox:1", "…@sha256:…": what an image is recorded under. */
export function canonicalString(reference: Reference): string {
  return canonicalName(reference) + suffix(reference);
}

/** "docker.io/library/busybox@sha256:…": what an image is recorded under beside its tag. */
export function digestString(reference: Reference, digest: string): string {
  return `${canonicalName(reference)}@${digest}`;
}

/** "busybox", "team/web", "localhost:5000/web": as users write it, without tag and digest. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== defaultDomain) return canonicalName(reference);
  const { path } = reference;
  const rest = path.startsWith(officialNamespace) ? path.slice(officialNamespace.length) : path;
  return rest.includes('/') ? path : rest;
}

export function familiarString(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** What is before the first slash is a host if it has a dot, a port, capitals, or is localhost. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(0, slash));
  const isHost =
    slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = isHost && first !== legacyDomain ? first : defaultDomain;
  const path = isHost ? name.slice(slash + 1) : name;
  const needsNamespace = domain === defaultDomain && !path.includes('/');
  return { domain, path: needsNamespace ? officialNamespace + path : path };
}

function invalid(text: string, why: string): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `invalid reference format: ${JSON.stringify(text)}: ${why}`,
  );
}
