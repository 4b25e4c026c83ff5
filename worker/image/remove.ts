/** Which names and images go when a user removes one: Docker's rules, and Docker's words. */
import { SwarmError } from '../../lib/errors.ts';
import type { Image } from './images.ts';
import { canonicalName, familiarName, familiarString, type Reference } from './reference.ts';

export interface RemovalRequest {
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

export interface RemovalPlan {
  readonly untag: readonly Reference[];
  /** The image goes with its last name. */
  readonly remove: boolean;
}

/** Throws `failed-precondition` with "conflict: …" where something stands against it. */
export function planRemoval(request: RemovalRequest): RemovalPlan {
  return request.named === undefined ? byId(request) : byName(request, request.named);
}

/** A tag and the digests of its own repository count as one name, as for Docker. */
function byName(request: RemovalRequest, named: Reference): RemovalPlan {
  const { given, image, references, force, usedBy } = request;
  const others = references.filter((reference) => !isSame(reference, named));
  const rest =
    named.digest === undefined && others.every(({ digest }) => digest !== undefined)
      ? others.filter((other) => canonicalName(other) !== canonicalName(named))
      : others;
  const isLast = rest.length === 0;
  if (isLast && usedBy !== undefined && !force) {
    throw conflict(
      `unable to remove repository reference ${JSON.stringify(given)} (must force) - container ` +
        `${usedBy} is using its referenced image ${shortId(image)}`,
    );
  }
  const untag = [named, ...others.filter((other) => !rest.includes(other))];
  return { untag, remove: isLast && usedBy === undefined };
}

function byId({ image, references, force, usedBy }: RemovalRequest): RemovalPlan {
  const repositories = new Set(references.map(familiarName));
  const tags = references.filter(({ digest }) => digest === undefined);
  if ((repositories.size > 1 || tags.length > 1) && !force) {
    throw conflict(
      `unable to delete ${shortId(image)} (must be forced) - image is referenced in multiple ` +
        'repositories',
    );
  }
  if (usedBy !== undefined) {
    throw conflict(
      `unable to delete ${shortId(image)} (cannot be forced) - image is being used by container ` +
        usedBy,
    );
  }
  return { untag: references, remove: true };
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
