import { SwarmError } from '../lib/errors.ts';
import type { Image } from '../worker/image/images.ts';
import { familiarString, parseReference, withDefaultTag } from '../worker/image/reference.ts';
import { parseUnixTime } from './convert/time.ts';
import type { Filters } from './filters.ts';

export const imageFilterKeys = [
  'before',
  'dangling',
  'label',
  'label!',
  'reference',
  'since',
  'until',
];

/** Docker's filters of images. `before` and `since` name another image. */
export function imageMatcher(
  filters: Filters,
  images: readonly Image[],
  createdAtMs: (image: Image) => number,
): (image: Image) => boolean {
  const timeOf = (name: string) => createdAtMs(named(images, name));
  const before = filters.get('before').map(timeOf);
  const since = filters.get('since').map(timeOf);
  const until = filters.get('until').map(untilMs);
  const dangling = danglingOf(filters);
  const patterns = filters.get('reference').map(globPattern);
  return (image) => {
    const atMs = createdAtMs(image);
    return (
      before.every((limitMs) => atMs < limitMs) &&
      since.every((limitMs) => atMs > limitMs) &&
      until.every((limitMs) => atMs < limitMs) &&
      (dangling === undefined || dangling === (image.repoTags.length === 0)) &&
      filters.labels('label', image.config.labels) &&
      (!filters.has('label!') || !filters.labels('label!', image.config.labels)) &&
      (patterns.length === 0 ||
        [...image.repoTags, ...image.repoDigests].some((name) => matchesAny(name, patterns)))
    );
  };
}

function named(images: readonly Image[], name: string): Image {
  const wanted = [name, `${name}:latest`];
  const image = images.find(
    ({ id, repoTags, repoDigests }) =>
      [id, ...repoTags, ...repoDigests].some((known) => wanted.includes(known)) ||
      id.replace(/^sha256:/, '').startsWith(name),
  );
  if (image === undefined) {
    const shown = familiarString(withDefaultTag(parseReference(name)));
    throw new SwarmError('not-found', `No such image: ${shown}`);
  }
  return image;
}

function danglingOf(filters: Filters): boolean | undefined {
  const values = filters.get('dangling');
  if (values.length === 0) return undefined;
  const isTrue = values.some((value) => value === 'true' || value === '1');
  const isFalse = values.some((value) => value === 'false' || value === '0');
  if (isTrue === isFalse) {
    const given = values.join(' ');
    throw new SwarmError('invalid-argument', `invalid filter 'dangling=[${given}]'`);
  }
  return isTrue;
}

function untilMs(text: string): number {
  const ms = parseUnixTime(text) ?? Date.parse(text);
  if (!Number.isFinite(ms)) throw new SwarmError('invalid-argument', "invalid filter 'until'");
  return ms;
}

/** The image with only those of its names that the filter `reference` asks for. */
export function withNamesAskedFor(filters: Filters, image: Image): Image {
  const patterns = filters.get('reference').map(globPattern);
  if (patterns.length === 0) return image;
  const wanted = (name: string) => matchesAny(name, patterns);
  return {
    ...image,
    repoTags: image.repoTags.filter(wanted),
    repoDigests: image.repoDigests.filter(wanted),
  };
}

/** With and without the tag: Docker's pattern may mean either. */
function matchesAny(name: string, patterns: readonly RegExp[]): boolean {
  const at = name.indexOf('@');
  const colon = at < 0 ? name.lastIndexOf(':') : at;
  const short = colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
  return patterns.some((pattern) => pattern.test(name) || pattern.test(short));
}

/** As a shell's: `*` and `?` do not cross slashes. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[.+^$(){}|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`);
}
