/** Which names and images go when a user removes one: Docker's rules, and Docker's words. */
import { SwarmError } from '../../lib/errors.ts';
import type { Image } from './images.ts';
import { canonicalName, familiarString, type Reference } from './reference.ts';

interface RemovalRequest {
  /** As the user wrote it. */
  readonly given: string;
  readonly image: Image;
  /** The name that was given; absent when the image was named by its id. */
  readonly named: Reference | undefined;
  /** All names of the image. */
  readonly references: readonly Reference[];
  readonly force: boolean;
  /** A container that needs the image. */
  readonly usedBy: string | undefined;
}

interface RemovalPlan {
  readonly untag: readonly Reference[];
  /** The image goes with its last name. */
  readonly remove: boolean;
}

/** Throws `failed-precondition` with "conflict: …" where something stands against it. */
export function planRemoval(request: RemovalRequest): RemovalPlan {
  return request.named === undefined ? byId(request) : byName(request, request.named);
}

function byName(request: RemovalRequest, named: Reference): RemovalPlan {
  const { given, image, references, force, usedBy } = request;
  if (usedBy !== undefined && !force && isSingle(references)) {
    throw conflict(
      `unable to remove repository reference ${JSON.stringify(given)} (must force) - container ` +
        `${usedBy} is using its referenced image ${shortId(image)}`,
    );
  }
  const others = references.filter((reference) => !isSame(reference, named));
  const ofRepository = others.filter((other) => canonicalName(other) === canonicalName(named));
  // With its last tag, a repository's digests go too: nobody wrote them down to keep them.
  const isLastTag = named.digest === undefined && ofRepository.every(isDigested);
  const untag = [named, ...(isLastTag ? ofRepository : [])];
  const isLast = untag.length === references.length;
  return { untag, remove: isLast && usedBy === undefined };
}

function byId({ image, references, force, usedBy }: RemovalRequest): RemovalPlan {
  if (usedBy !== undefined) {
    throw conflict(
      `unable to delete ${shortId(image)} (cannot be forced) - image is being used by container ` +
        usedBy,
    );
  }
  if (!isSingle(references) && !force) {
    throw conflict(
      `unable to delete ${shortId(image)} (must be forced) - image is referenced in multiple ` +
        'repositories',
    );
  }
  return { untag: references, remove: true };
}

/** A tag and digests of one repository count as one name, as for Docker. */
function isSingle(references: readonly Reference[]): boolean {
  if (references.length <= 1) return true;
  const tags = references.filter((reference) => !isDigested(reference));
  return tags.length <= 1 && new Set(references.map(canonicalName)).size === 1;
}

function isDigested({ digest }: Reference): boolean {
  return digest !== undefined;
}

function isSame(a: Reference, b: Reference): boolean {
  return familiarString(a) === familiarString(b);
}

function shortId({ id }: Image): string {
  return id.slice(id.indexOf(':') + 1).slice(0, 12);
}

function conflict(what: string): SwarmError {
  return new SwarmError('failed-precondition', `conflict: ${what}`);
}
