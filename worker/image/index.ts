/**
 * Owns this node's images: pulling, loading, importing, naming and removing them in containerd.
 * May import lib, types, gen and the runtime's containerd client. Read images.ts (the port) first,
 * then containerd-images.ts and pull.ts.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { ContainerdClient } from '../runtime/containerd/client.ts';
import { importTarball } from './archive/import.ts';
import { ArchiveLoader } from './archive/load.ts';
import { commitImage } from './commit.ts';
import { ContainerdImages } from './containerd-images.ts';
import type { ImageEvent } from '../../types/index.ts';
import { ImageEvents } from './events.ts';
import type { Images } from './images.ts';
import { Library } from './library.ts';
import type { OciPlatform } from './oci.ts';
import { normalizePlatform, parsePlatform, runnablePlatforms } from './platform.ts';
import { Puller } from './pull.ts';
import { Pusher } from './push.ts';
import { RegistryClient, type RegistryOptions } from './registry/index.ts';
import { ContentStore } from './store/content.ts';
import { Leases } from './store/leases.ts';
import { Records } from './store/records.ts';
import { Unpacker } from './store/unpack.ts';

export interface ImagesOptions extends Partial<RegistryOptions> {
  /** containerd's, for all layers. */
  readonly snapshotter?: string;
  /** What this host runs; `process.platform` and `process.arch` go, in Node's spelling. */
  readonly platform: OciPlatform;
}

interface ImagesDependencies {
  /** In the namespace whose images these are. Stays the caller's to dispose of. */
  readonly containerd: ContainerdClient;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random?: Random;
}

/** Images with what their owner needs besides the port. */
export interface NodeImages extends AsyncDisposable {
  readonly images: Images;
  /** Called for every image that is pulled, loaded, imported, tagged, untagged or deleted. */
  onEvent(listener: (event: ImageEvent) => void): Disposable;
}

/** Throws `invalid-argument` for an insecure registry or a mirror that cannot be meant. */
export function createImages(options: ImagesOptions, dependencies: ImagesDependencies): NodeImages {
  const { clock, containerd, random } = dependencies;
  const { snapshotter = 'overlayfs', insecureRegistries = [], mirrors = [] } = options;
  const log = dependencies.log.child({ module: 'image' });
  const registry = new RegistryClient(
    { ...options, insecureRegistries, mirrors },
    { clock, log, ...(random === undefined ? {} : { random }) },
  );
  const host = normalizePlatform(options.platform);
  const runnable = runnablePlatforms(host);
  const content = new ContentStore(containerd, clock);
  const leases = new Leases(containerd, clock, snapshotter);
  const records = new Records(containerd);
  const unpacker = new Unpacker(containerd, snapshotter);
  const library = new Library({ records, content, unpacker }, runnable, log);
  const events = new ImageEvents(clock);
  const parts = { registry, content, leases, records, unpacker, library, clock, log };
  const images = new ContainerdImages({
    ...parts,
    events,
    host,
    puller: new Puller(parts, runnable),
    pusher: new Pusher(parts),
    loader: new ArchiveLoader(parts, runnable),
    committer: (request) => commitImage({ ...parts, containerd }, request),
    importer(tarball, given) {
      const platform = given.platform === undefined ? host : parsePlatform(given.platform, host);
      return importTarball(parts, platform, tarball, given);
    },
  });
  return {
    images,
    onEvent: (listener) => events.subscribe(listener),
    async [Symbol.asyncDispose]() {
      await images[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}
