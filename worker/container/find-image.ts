/** The image that a person names for a container. */
import { SwarmError } from '../../lib/errors.ts';
import type { Image, Images } from '../image/images.ts';
import { familiarString, parseReference, withDefaultTag } from '../image/reference.ts';

/**
 * Throws `not-found` "No such image: x:latest", which makes clients pull it, and where it is not for
 * the platform; an empty one is any.
 */
export async function findImage(
  images: Pick<Images, 'get'>,
  name: string,
  platform: string,
): Promise<Image> {
  if (name === '') throw new SwarmError('invalid-argument', 'no image specified');
  const image = await images.get(name);
  if (image !== undefined) {
    const { os, architecture } = image.platform;
    const actual = `${os}/${architecture}`;
    if (platform === '' || `${platform}/`.startsWith(`${actual}/`)) return image;
    throw new SwarmError(
      'not-found',
      `image with reference ${name} was found but does not match the specified platform: wanted ` +
        `${platform}, actual: ${actual}`,
    );
  }
  const shown = familiarString(withDefaultTag(parseReference(name)));
  throw new SwarmError('not-found', `No such image: ${shown}`);
}
