/** A repository that is pushed to: blobs first, then the manifest that names them. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Asker } from './asker.ts';
import type { HttpResponse, Upload } from './http.ts';

interface BlobSource {
  readonly digest: string;
  /** Repositories of the same registry that are known to hold the blob. */
  readonly heldBy: readonly string[];
  readonly upload: Upload;
}

type BlobOutcome =
  | { readonly kind: 'present' }
  | { readonly kind: 'mounted'; readonly from: string }
  | { readonly kind: 'uploaded' };

export class Destination {
  readonly #asker: Asker;

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  /** Makes the blob be there, with as little sent as can be. */
  async putBlob(blob: BlobSource, signal?: AbortSignal): Promise<BlobOutcome> {
    if (await this.#has(blob.digest, signal)) return { kind: 'present' };
    // Each try begins anew: what an upload that broke off has brought, registries forget.
    return this.#asker.retried(signal, async () => {
      const begun = await this.#begin(blob, signal);
      if (begun.mountedFrom !== undefined) return { kind: 'mounted', from: begun.mountedFrom };
      const url = begun.location;
      url.searchParams.append('digest', blob.digest);
      const response = await this.#asker.ask({
        method: 'PUT',
        resource: url,
        headers: { 'content-type': 'application/octet-stream' },
        accept: [201, 204],
        upload: blob.upload,
        signal,
      });
      response.discard();
      return { kind: 'uploaded' };
    });
  }

  /** `name`: a tag or the manifest's digest. */
  async putManifest(
    name: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    signal?: AbortSignal,
  ): Promise<void> {
    const { mediaType, bytes } = manifest;
    const response = await this.#asker.retried(signal, () =>
      this.#asker.ask({
        method: 'PUT',
        resource: `manifests/${name}`,
        headers: { 'content-type': mediaType },
        accept: [200, 201, 202],
        upload: {
          sizeBytes: bytes.length,
          async *content() {
            yield bytes;
          },
        },
        signal,
      }),
    );
    response.discard();
  }

  async #has(digest: string, signal: AbortSignal | undefined): Promise<boolean> {
    const response = await this.#asker.retried(signal, () =>
      this.#asker.ask({
        method: 'HEAD',
        resource: `blobs/${digest}`,
        headers: {},
        // Some registries let nobody look who may write all the same.
        accept: [200, 400, 401, 403, 404, 405],
        signal,
      }),
    );
    response.discard();
    return response.status === 200;
  }

  /** The first source that the registry agrees to mount from; else where to upload to. */
  async #begin(
    { digest, heldBy }: BlobSource,
    signal: AbortSignal | undefined,
  ): Promise<{ location: URL; mountedFrom?: string }> {
    const [from] = heldBy;
    const query =
      from === undefined ? '' : `?${new URLSearchParams({ mount: digest, from }).toString()}`;
    const response = await this.#asker.ask({
      method: 'POST',
      resource: `blobs/uploads/${query}`,
      headers: { 'content-length': '0' },
      accept: [201, 202],
      signal,
    });
    response.discard();
    const location = locationOf(response);
    const mounted = response.status === 201 && from !== undefined;
    return { location, ...(mounted ? { mountedFrom: from } : {}) };
  }
}

function locationOf(response: HttpResponse): URL {
  const location = response.header('location') ?? '';
  if (URL.canParse(location, response.url.href)) return new URL(location, response.url.href);
  throw new SwarmError(
    'failed-precondition',
    `the registry at ${response.url.host} does not say where to upload to; ask its operator`,
  );
}
