/** Which images and tags a user means who saves some by names or ids. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Library } from '../library.ts';
import { tryParseReference, type Reference } from '../reference.ts';
import { sameRepository, type Records } from '../store/records.ts';
import type { SavedImage } from './save.ts';

/** One entry for each image, in the order in which they were first named. */
export async function imagesToSave(
  names: readonly string[],
  { library, records }: { library: Library; records: Records },
): Promise<readonly (SavedImage & { readonly id: string })[]> {
  const all = await records.list();
  const wanted = new Map<string, { id: string; target: SavedImage['target']; tags: Reference[] }>();
  const want = async (name: string) => {
    const found = await library.find(name);
    const record = found?.named ?? found?.records[0];
    if (found === undefined || record === undefined) {
      throw new SwarmError('not-found', `No such image: ${name}`);
    }
    const { target } = record;
    const known = wanted.get(target.digest) ?? { id: found.image.id, target, tags: [] };
    wanted.set(target.digest, known);
    const tag = found.named?.reference;
    if (tag?.tag !== undefined && !known.tags.includes(tag)) known.tags.push(tag);
  };
  for (const name of names) {
    const reference = tryParseReference(name);
    const isBare = reference?.tag === undefined && reference?.digest === undefined;
    const ofRepository = all.filter(
      ({ reference: other, ...record }) =>
        isBare &&
        reference !== undefined &&
        other?.tag !== undefined &&
        sameRepository({ ...record, reference: other }, reference),
    );
    if (ofRepository.length === 0) await want(name);
    for (const record of ofRepository) await want(record.name);
  }
  return [...wanted.values()].map(({ id, target, tags }) => ({ id, target, references: tags }));
}
