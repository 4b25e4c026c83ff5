/** Builds by the ids that their clients give them: to cancel them, and to send files apart. */
import { withAbort } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';

/** A client asks for its build and sends the files of it at the same time. */
export const meetingMs = 10_000;
/** More than there can be builds that run or wait. */
const maxUploads = 64;

interface Upload {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** The build has read what it wanted. */
  readonly done: () => void;
}

export class BuildJobs {
  readonly #clock: Clock;
  readonly #running = new Map<string, Set<AbortController>>();
  readonly #uploads = new Map<string, Upload>();
  /** Builds that wait for their files. */
  readonly #expected = new Map<string, (upload: Upload) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lets `cancel` end a build; until it is disposed of. */
  start(id: string, controller: AbortController): Disposable {
    const all = this.#running.get(id) ?? new Set();
    this.#running.set(id, all.add(controller));
    return {
      [Symbol.dispose]: () => {
        all.delete(controller);
        if (all.size === 0) this.#running.delete(id);
      },
    };
  }

  /** Of an id that there is no build of, nothing is ended. */
  cancel(id: string): void {
    const reason = new SwarmError('cancelled', 'context canceled');
    for (const controller of this.#running.get(id) ?? []) controller.abort(reason);
  }

  /** Hands files to the build of this id; resolves once it has them. */
  async upload(
    id: string,
    bytes: AsyncIterable<Uint8Array>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    if (this.#uploads.size >= maxUploads) {
      throw new SwarmError(
        'resource-exhausted',
        `${maxUploads} contexts of builds wait on this node: try again when some have ended`,
      );
    }
    if (this.#uploads.has(id)) {
      throw new SwarmError('invalid-argument', `the files of the build ${id} are there already`);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const upload = { bytes, done: resolve };
    const taker = this.#expected.get(id);
    if (taker === undefined) this.#uploads.set(id, upload);
    else taker(upload);
    const onAbort = () => resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (this.#uploads.get(id) === upload) this.#uploads.delete(id);
    }
  }

  /** The files of the build of this id, once they come. Throws `not-found` where they do not. */
  async files(id: string, { signal }: { readonly signal: AbortSignal }): Promise<Upload> {
    const there = this.#uploads.get(id);
    if (there !== undefined) {
      this.#uploads.delete(id);
      return there;
    }
    const { promise, resolve, reject } = Promise.withResolvers<Upload>();
    const timer = this.#clock.after(meetingMs, () => {
      reject(new SwarmError('not-found', `nobody sends the files of the build ${id}`));
    });
    this.#expected.set(id, resolve);
    try {
      return await withAbort(promise, signal);
    } finally {
      timer.cancel();
      this.#expected.delete(id);
    }
  }
}
