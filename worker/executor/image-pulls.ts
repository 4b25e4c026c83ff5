/** Gets the images of tasks: once for all tasks of one version of a service, and few at once. */
import { Semaphore, SharedWork } from '../../lib/concurrency.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { AssignedTask } from '../../types/index.ts';
import type { Image, Images, RegistryAuth } from '../image/images.ts';
import { pinImages } from '../image/pinned.ts';
import type { PinnedMount } from '../runtime/runtime.ts';

const pullsMax = 3;
const rememberedMax = 512;

export class ImagePulls {
  readonly #images: Images;
  readonly #slots = new Semaphore(pullsMax);
  readonly #shared = new SharedWork<Image, never>(() => '');
  /** Also those that have been given up and are being cleared away. */
  readonly #running = new Set<Promise<Image>>();
  /** What was pulled for a version of a service → id of the image. */
  readonly #pulled = new Map<string, string>();

  constructor(images: Images) {
    this.#images = images;
  }

  /**
   * Throws what the registry said. A caller that is aborted leaves a pull that others wait for;
   * with the last one of them the pull itself is aborted.
   */
  get(task: AssignedTask, signal: AbortSignal): Promise<Image> {
    return this.#get(task, task.spec.container?.image ?? '', signal);
  }

  /** Images that are mounted are pulled as the task's own is, with the same credentials. */
  pin(
    task: AssignedTask,
    mounts: readonly PinnedMount[],
    signal: AbortSignal,
  ): Promise<readonly PinnedMount[]> {
    return pinImages(mounts, (reference) => this.#get(task, reference, signal));
  }

  async #get(task: AssignedTask, reference: string, signal: AbortSignal): Promise<Image> {
    const key = [reference, task.serviceId, task.specVersion].join('\0');
    const known = this.#pulled.get(key);
    if (known !== undefined) {
      const image = await this.#images.get(known);
      if (image !== undefined) return image;
    }
    const { registryAuth, registryLogin } = task;
    const auths = [registryAuth, registryLogin].filter((one) => one !== undefined);
    return this.#shared.run(
      key,
      (aborted) => this.#track(this.#pull(key, reference, auths, aborted)),
      { signal },
    );
  }

  /** Resolves when nothing is being done for pulls any more; their callers have been aborted. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #track(pull: Promise<Image>): Promise<Image> {
    this.#running.add(pull);
    return pull.finally(() => this.#running.delete(pull));
  }

  async #pull(
    key: string,
    reference: string,
    auths: readonly string[],
    signal: AbortSignal,
  ): Promise<Image> {
    const image = await this.#slots.run(() => this.#pulledAs(reference, auths, signal), signal);
    this.#pulled.set(key, image.id);
    const oldest = this.#pulled.keys().next().value;
    if (this.#pulled.size > rememberedMax && oldest !== undefined) this.#pulled.delete(oldest);
    return image;
  }
  /**
   * A service's credentials come from the moment that it was made, and may have run out since; then
   * the swarm's own are tried.
   */
  async #pulledAs(
    reference: string,
    [first, ...others]: readonly string[],
    signal: AbortSignal,
  ): Promise<Image> {
    const auth = first === undefined ? {} : { auth: decodeAuth(first) };
    try {
      return await this.#images.pull(reference, { signal, ...auth });
    } catch (error) {
      if (others.length === 0 || !isRefusal(error)) throw error;
      return this.#pulledAs(reference, others, signal);
    }
  }
}

/** What a registry says of who may not, or is not told that there is what he asks for. */
const refusals: ReadonlySet<string> = new Set([
  'unauthenticated',
  'permission-denied',
  'not-found',
]);

function isRefusal(error: unknown): boolean {
  return error instanceof SwarmError && refusals.has(error.code);
}

/** As in X-Registry-Auth: base64url of JSON, whose names differ from ours in case. */
function decodeAuth(text: string): RegistryAuth {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
  } catch (cause) {
    throw new SwarmError('invalid-argument', 'the credentials for the registry are malformed', {
      cause,
    });
  }
  const names = {
    username: 'username',
    password: 'password',
    identitytoken: 'identityToken',
    registrytoken: 'registryToken',
    serveraddress: 'serverAddress',
  };
  return Object.fromEntries(
    Object.entries(names)
      .filter(([from]) => typeof fields[from] === 'string' && fields[from] !== '')
      .map(([from, to]) => [to, fields[from]]),
  );
}
