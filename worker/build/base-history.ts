/**
 * The history of an image that is built on. Tools that make images without a Dockerfile leave it
 * away, and buildah then loses count of the layers at a build's second step.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmError } from '../../lib/errors.ts';
import { isObject, sha256 } from '../image/oci.ts';

type Document = Readonly<Record<string, unknown>>;

/** The configuration, with an entry for each layer; undefined where that is so already. */
export function withWholeHistory(config: Document): Document | undefined {
  const rootfs = isObject(config['rootfs']) ? config['rootfs'] : {};
  const layers = Array.isArray(rootfs['diff_ids']) ? rootfs['diff_ids'].length : 0;
  const history: unknown[] = Array.isArray(config['history']) ? config['history'] : [];
  const told = history.filter((entry) => !(isObject(entry) && entry['empty_layer'] === true));
  if (told.length === layers) return undefined;
  const kept = told.length < layers ? history : [];
  const missing = layers - (told.length < layers ? told.length : 0);
  const comment = 'a layer that the image’s history does not tell of';
  return { ...config, history: [...Array.from({ length: missing }, () => ({ comment })), ...kept] };
}

/**
 * Completes the history of the only image of an OCI layout, in place. Returns the image's new id,
 * without its algorithm; undefined where nothing was missing.
 */
export async function completeHistory(layout: string): Promise<string | undefined> {
  const [top] = descriptorsOf(await documentAt(join(layout, 'index.json')), 'manifests');
  const manifest = await documentAt(blobPath(layout, top));
  const config = await documentAt(blobPath(layout, manifest['config']));
  const whole = withWholeHistory(config);
  if (whole === undefined) return undefined;
  const described = async (document: Document, old: unknown) => {
    const bytes = Buffer.from(JSON.stringify(document));
    const digest = sha256(bytes);
    await writeFile(blobPath(layout, { digest }), bytes);
    return { ...(isObject(old) ? old : {}), digest, size: bytes.length };
  };
  const newConfig = await described(whole, manifest['config']);
  const newTop = await described({ ...manifest, config: newConfig }, top);
  const index = { schemaVersion: 2, manifests: [newTop] };
  await writeFile(join(layout, 'index.json'), JSON.stringify(index));
  return newConfig.digest.replace('sha256:', '');
}

async function documentAt(path: string): Promise<Document> {
  const document: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (isObject(document)) return document;
  throw new SwarmError('internal', `${path} is no JSON object`);
}

function descriptorsOf(document: Document, key: string): readonly unknown[] {
  const list = document[key];
  return Array.isArray(list) ? list : [];
}

function blobPath(layout: string, descriptor: unknown): string {
  const digest = isObject(descriptor) ? String(descriptor['digest']) : '';
  return join(layout, 'blobs', ...digest.split(':'));
}
