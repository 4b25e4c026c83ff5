/** What a registry says went wrong, in Docker's words and with our codes. */
import { SwarmError } from '../../../lib/errors.ts';
import { familiarName, familiarString, type Reference } from '../reference.ts';
import { isObject } from '../oci.ts';

/** Of an error's body, as much as is shown. */
const maxWords = 500;

interface RegistryFault {
  readonly code: string;
  readonly words: string;
}

/** Go's spelling, which Docker's users know: `Get "https://host/v2/web/manifests/1"`. */
export function requestWords({ method, url }: { method: string; url: URL }): string {
  // Queries of redirected blobs hold signatures that have no place in an error message.
  const where = JSON.stringify(url.origin + url.pathname);
  return `${method.charAt(0)}${method.slice(1).toLowerCase()} ${where}`;
}

/** "manifest unknown: manifest unknown", or what else the body says; undefined for an empty one. */
export function registryWords(body: Buffer): string | undefined {
  return readFault(body)?.words;
}

/**
 * The error for an answer about a repository that was neither success nor something to try again
 * with other credentials.
 */
export function repositoryError(
  reference: Reference,
  answer: { method: string; url: URL; status: number; body: Buffer },
): SwarmError {
  const { method, url, status, body } = answer;
  const fault = readFault(body);
  const words = fault?.words;
  const denied = (code: 'permission-denied' | 'unauthenticated', reason: string) =>
    new SwarmError(
      code,
      `pull access denied for ${familiarName(reference)}, repository does not exist or may ` +
        `require 'docker login': ${reason}`,
    );
  if (status === 401) {
    return denied('unauthenticated', words ?? 'unauthorized: authentication required');
  }
  if (status === 403 || fault?.code === 'DENIED') {
    return denied('permission-denied', words ?? 'denied: requested access is denied');
  }
  if (fault?.code === 'NAME_UNKNOWN') {
    const message = `repository ${familiarName(reference)} not found: ${fault.words}`;
    return new SwarmError('not-found', message);
  }
  if (status === 404 && url.pathname.includes('/manifests/')) {
    const reason = words ?? 'manifest unknown';
    const message = `manifest for ${familiarString(reference)} not found: ${reason}`;
    return new SwarmError('not-found', message);
  }
  return statusError(method, url, status, body);
}

/** The same, for an answer to a push: Docker shows the registry's words alone. */
export function pushError({
  method,
  url,
  status,
  body,
}: {
  method: string;
  url: URL;
  status: number;
  body: Buffer;
}): SwarmError {
  const words = registryWords(body);
  if (status === 401) {
    return new SwarmError('unauthenticated', words ?? 'unauthorized: authentication required');
  }
  if (status === 403) {
    const denied = 'denied: requested access to the resource is denied';
    return new SwarmError('permission-denied', words ?? denied);
  }
  if (status < 500 && status !== 404 && status !== 408 && status !== 429 && words !== undefined) {
    return new SwarmError('failed-precondition', words);
  }
  return statusError(method, url, status, body);
}

/** An answer that no rule above explains. Trouble on the server's side is `unavailable`. */
export function statusError(method: string, url: URL, status: number, body: Buffer): SwarmError {
  const where = requestWords({ method, url });
  const words = registryWords(body);
  if (status === 404) return new SwarmError('not-found', `${where}: ${words ?? 'not found'}`);
  const said = words === undefined ? '' : `: ${words}`;
  const message = `${where}: received unexpected HTTP status ${status}${said}`;
  if (status === 429) {
    const reason = words ?? 'toomanyrequests: the registry limits how often it may be asked';
    return new SwarmError('unavailable', `${where}: ${reason}`, { details: { transient: true } });
  }
  if (status >= 500 || status === 408) {
    return new SwarmError('unavailable', message, { details: { transient: true } });
  }
  return new SwarmError('failed-precondition', message);
}

function readFault(body: Buffer): RegistryFault | undefined {
  const text = body.toString('utf8').trim();
  if (text === '') return undefined;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // A proxy's page rather than a registry's answer: markup would be no help in a message.
    return text.startsWith('<') ? undefined : { code: '', words: oneLine(text) };
  }
  const fields = isObject(document) ? document : {};
  const errors: unknown[] = Array.isArray(fields['errors']) ? fields['errors'] : [];
  const first = errors.find(isObject);
  if (first !== undefined) {
    const code = typeof first['code'] === 'string' ? first['code'] : 'UNKNOWN';
    const message = typeof first['message'] === 'string' ? first['message'] : '';
    const name = code.toLowerCase().replaceAll('_', ' ');
    return { code, words: oneLine(message === '' ? name : `${name}: ${message}`) };
  }
  const plain = [fields['details'], fields['message'], fields['error_description'], fields['error']]
    .filter((value) => typeof value === 'string')
    .at(0);
  return plain === undefined ? undefined : { code: '', words: oneLine(plain) };
}

/** Without line ends and control characters: it is shown in terminals and logs. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  const clean = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  return clean.length > maxWords ? `${clean.slice(0, maxWords)}…` : clean;
}
