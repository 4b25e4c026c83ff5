/** The labels by which containerd's collector follows what an image consists of. */
import type { Descriptor, Manifest } from '../oci.ts';

type Labels = Readonly<Record<string, string>>;

/**
 * Of an index: the manifests that are present. Named after them, so that those which come in later
 * stand beside those that were there.
 */
export function indexLabels(manifestDigests: readonly string[]): Labels {
  return Object.fromEntries(
    manifestDigests.map((digest) => [
      `containerd.io/gc.ref.content.m.${digest.slice(digest.indexOf(':') + 1)}`,
      digest,
    ]),
  );
}

export function manifestLabels({ config, layers }: Manifest): Labels {
  const digests = layers.map(({ digest }: Descriptor) => digest);
  return {
    'containerd.io/gc.ref.content.config': config.digest,
    ...numbered('containerd.io/gc.ref.content.l', digests),
  };
}

/** Of a configuration: its topmost snapshot, which keeps those below. */
export function configLabels(snapshotter: string, topChainId: string | undefined): Labels {
  if (topChainId === undefined) return {};
  return { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: topChainId };
}

function numbered(prefix: string, values: readonly string[]): Labels {
  return Object.fromEntries(values.map((value, index) => [`${prefix}.${index}`, value]));
}
