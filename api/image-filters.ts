import { SwarmError } from '../lib/errors.ts';
import type { Image } from '../worker/image/images.ts';
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
      (patterns.length === 0 || namesOf(image).some((name) => patterns.some((p) => p.test(name))))
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
  if (image === undefined) throw new SwarmError('not-found', `No such image: ${name}`);
  return image;
}

function danglingOf(filters: Filters): boolean | undefined {
  const values = filters.get('dangling');
  if (values.length === 0) return undefined;
  const isTrue = values.some((value) => value === 'true' || value === '1');
  const isFalse = values.some((value) => value === 'false' || value === '0');
  if (isTrue === isFalse) throw new SwarmError('invalid-argument', "invalid filter 'dangling'");
  return isTrue;
}

function untilMs(text: string): number {
  const ms = parseUnixTime(text) ?? Date.parse(text);
  if (!Number.isFinite(ms)) throw new SwarmError('invalid-argument', "invalid filter 'until'");
  return ms;
}

/** With and without the tag: Docker's pattern may mean either. */
function namesOf(image: Image): string[] {
  return [...image.repoTags, ...image.repoDigests].flatMap((name) => {
    const at = name.indexOf('@');
    const colon = at < 0 ? name.lastIndexOf(':') : at;
    return [name, colon > name.lastIndexOf('/') ? name.slice(0, colon) : name];
  });
}

/** As a shell's: `*` and `?` do not cross slashes. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[.+^$(){}|[\]\\]/g, '\\$&')
    .replaceAll(/\*+/g, '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${source}$`);
}
