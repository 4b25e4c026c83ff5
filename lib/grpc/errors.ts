import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { SwarmError, type ErrorCode } from '../errors.ts';

/** The one place where SwarmError's codes meet gRPC's. */
const statusOf: Readonly<Record<ErrorCode, status>> = {
  cancelled: status.CANCELLED,
  'invalid-argument': status.INVALID_ARGUMENT,
  'deadline-exceeded': status.DEADLINE_EXCEEDED,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'permission-denied': status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  'resource-exhausted': status.RESOURCE_EXHAUSTED,
  'failed-precondition': status.FAILED_PRECONDITION,
  aborted: status.ABORTED,
  unimplemented: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
  unavailable: status.UNAVAILABLE,
};
const codeOf = new Map<number, ErrorCode>(
  Object.entries(statusOf).map(([code, number]) => [number, code as ErrorCode]),
);

/** The code of a status that a peer answered with. */
export function codeOfStatus(number: number): ErrorCode {
  return codeOf.get(number) ?? 'internal';
}

/** Carries `details` as JSON. Its presence also tells an answer of ours from one of the library. */
const detailsKey = 'swarm-error-bin';
/** HTTP/2 peers refuse header blocks that are much larger than this. */
const messageLengthMax = 4096;
const detailsLengthMax = 8192;

/** A thrown value as the status that ends a call. */
export function toStatus(thrown: unknown): Partial<StatusObject> & { code: status } {
  const error = SwarmError.from(thrown);
  const metadata = new Metadata();
  const details = Buffer.from(JSON.stringify(error.details));
  metadata.set(detailsKey, details.length > detailsLengthMax ? Buffer.from('{}') : details);
  return {
    code: statusOf[error.code],
    details: error.message.slice(0, messageLengthMax),
    metadata,
  };
}

/** What a call failed with, as the SwarmError that the peer threw, or one that names the peer. */
export function fromStatus(thrown: unknown, addr: string): SwarmError {
  if (!isServiceError(thrown)) return SwarmError.from(thrown);
  const code = codeOf.get(thrown.code) ?? 'internal';
  const [carried] = thrown.metadata?.get(detailsKey) ?? [];
  if (carried !== undefined) {
    return new SwarmError(code, thrown.details, { cause: thrown, details: parse(carried) });
  }
  const details = isUnsent(thrown) ? { details: { reason: unsent } } : {};
  return new SwarmError(code, sentenceFor(code, thrown.details, addr), {
    cause: thrown,
    ...details,
  });
}

/** The `reason` in the details of a call that cannot have come to the peer. */
export const unsent = 'unsent';

function isUnsent({ code, details }: ServiceError): boolean {
  return code === status.UNAVAILABLE && details.startsWith('No connection established');
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'number' &&
    'details' in thrown &&
    typeof thrown.details === 'string'
  );
}

function parse(carried: string | Buffer): Record<string, unknown> {
  try {
    return JSON.parse(carried.toString()) as Record<string, unknown>;
  } catch (error) {
    return { unreadable: String(error) };
  }
}

/** What goes wrong below our services: TCP, TLS, and calls that the peer does not know. */
function sentenceFor(code: ErrorCode, details: string, addr: string): string {
  switch (code) {
    case 'cancelled':
      return `the call to ${addr} was cancelled`;
    case 'deadline-exceeded':
      return `${addr} did not answer in time`;
    case 'unimplemented':
      return `${addr} does not serve this call: it is not a manager, or runs another version`;
    case 'unavailable':
      return `${addr} cannot be reached: ${connectionProblem(details)}`;
    default:
      return `the call to ${addr} failed: ${details}`;
  }
}

function connectionProblem(details: string): string {
  if (/expired/i.test(details)) return 'its certificate has expired, or the clocks differ';
  if (/not yet valid/i.test(details)) return 'its certificate is not valid yet: the clocks differ';
  if (/altnames|certificate purpose/i.test(details))
    return 'its certificate is not that of a manager';
  if (/self.signed|unable to (verify|get)|issuer|signature/i.test(details)) {
    return "its certificate was not issued by this swarm's root: it belongs to another swarm";
  }
  const cause = /Last error: (?:Error: )?(.*?)\.?(?: Resolution note:.*)?$/s.exec(details)?.[1];
  return cause ?? details;
}
