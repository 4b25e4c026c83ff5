/** Builds images from Dockerfiles: on this node's images, and into them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linkAbort } from '../../lib/abort.ts';
import { KeyedMutex, Semaphore } from '../../lib/concurrency.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { archiveOf } from '../image/archive/save.ts';
import type { Image, Images, RegistryAuth } from '../image/images.ts';
import { canonicalString, parseReference, withDefaultTag } from '../image/reference.ts';
import { completeHistory } from './base-history.ts';
import { Buildah, type BuildahOptions } from './buildah.ts';
import { cacheUsage, type CacheUse } from './cache-usage.ts';
import { pruneCache, type Pruned, type PruneRequest } from './cache.ts';
import { dockerfileIn, unpackTar } from './context.ts';
import { markStages, planDockerfile } from './dockerfile.ts';
import { failureOf, isLogLine, translator } from './output.ts';
import { fetchRemote, parseRemote, type Fetched } from './remote.ts';
import {
  budArguments,
  budEnvironment,
  hostsWithoutNetwork,
  type BuildPaths,
  type BuildRequest,
  type StepNetwork,
} from './request.ts';
import { spellOutShells } from './shells.ts';

export interface BuildCall {
  /** The credentials for a registry, such as "docker.io". */
  readonly auth: (domain: string) => RegistryAuth | undefined;
  /** Text for people, as it comes. */
  readonly onOutput: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Networks for the steps of builds. */
export interface BuildNetworks {
  /** `mode` as in a request. Given back when it is disposed of. */
  lend(
    id: string,
    mode: string,
    options: { readonly signal: AbortSignal },
  ): Promise<StepNetwork & AsyncDisposable>;
}

interface BuilderParts {
  readonly images: Images;
  readonly networks: BuildNetworks;
  readonly log: Logger;
  readonly random: Random;
}

/** Each takes a core or more while it runs. */
const maxBuilds = 2;
const maxWaiting = 16;

export class Builder implements AsyncDisposable {
  readonly #parts: BuilderParts;
  readonly #dataRoot: string;
  readonly #buildah: Buildah;
  readonly #slots = new Semaphore(maxBuilds);
  /** A name stands for one image at a time in buildah's storage. */
  readonly #bases = new KeyedMutex();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #swept: Promise<void> | undefined;

  constructor(options: BuildahOptions, parts: BuilderParts) {
    this.#dataRoot = options.dataRoot;
    this.#buildah = new Buildah(options);
    this.#parts = parts;
  }

  /**
   * Reads the context, a tar, and builds. Returns the image's id. Throws `invalid-argument` for what
   * the request or the Dockerfile has wrong, and `failed-precondition` (with `details.exitCode` where
   * a command failed) for a build that failed.
   */
  async build(
    request: BuildRequest,
    context: AsyncIterable<Uint8Array>,
    call: BuildCall,
  ): Promise<string> {
    if (this.#running.size >= maxBuilds + maxWaiting) {
      throw new SwarmError(
        'resource-exhausted',
        `${this.#running.size} builds run or wait on this node: try again when some have ended`,
      );
    }
    using link = linkAbort(this.#closing.signal);
    const onAbort = () => link.abort(call.signal.reason);
    call.signal.addEventListener('abort', onAbort, { once: true });
    if (call.signal.aborted) onAbort();
    const { signal } = link;
    const work = this.#slots.run(() => this.#build(request, context, { ...call, signal }), signal);
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
      call.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Forgets what earlier builds have left for later ones. */
  prune(request: PruneRequest, { signal }: { readonly signal: AbortSignal }): Promise<Pruned> {
    return pruneCache(this.#buildah, request, signal);
  }

  /** What earlier builds have left, the bases first. */
  usage(): Promise<readonly CacheUse[]> {
    return cacheUsage(this.#buildah);
  }

  /** Ends all builds, and waits until nothing of them runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SwarmError('cancelled', 'the daemon ends'));
    await Promise.allSettled(this.#running);
  }

  async #build(
    request: BuildRequest,
    context: AsyncIterable<Uint8Array>,
    call: BuildCall,
  ): Promise<string> {
    // What a daemon that was killed has left of its builds is nobody's any more.
    this.#swept ??= this.#sweep();
    await this.#swept;
    const folder = join(this.#dataRoot, 'builds', this.#parts.random.id());
    const paths = {
      context: join(folder, 'context'),
      idFile: join(folder, 'id'),
      image: join(folder, 'image'),
      hosts: join(folder, 'hosts'),
    };
    await mkdir(paths.context, { recursive: true, mode: 0o700 });
    try {
      const there = await contextOf(request, context, paths.context, call);
      const fileName = there.dockerfile ?? request.dockerfile;
      const dockerfile = await dockerfileIn(there.context, fileName);
      const { images, bakesArgs } = planDockerfile(dockerfile.text, {
        fileName,
        buildArgs: request.buildArgs,
        target: request.target,
      });
      for (const name of images) await this.#provide(name, request.pull, folder, call);
      const spelled = spellOutShells(dockerfile.text);
      const text = bakesArgs ? markStages(spelled, digestOf(request.buildArgs)) : spelled;
      const isSame = text === dockerfile.text;
      const path = isSame ? dockerfile.path : join(folder, 'Dockerfile');
      if (!isSame) await writeFile(path, text);
      const inputs = { ...paths, context: there.context, dockerfile: path };
      await this.#steps(request, inputs, call, { marked: bakesArgs });
      const id = (await readFile(paths.idFile, 'utf8')).trim();
      await this.#quietly(['push', '--quiet', id, `dir:${paths.image}`], call.signal);
      await this.#install(paths.image, request.tags);
      return id.startsWith('sha256:') ? id : `sha256:${id}`;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** What failed once is tried again by the next build. */
  async #sweep(): Promise<void> {
    try {
      await rm(join(this.#dataRoot, 'builds'), { recursive: true, force: true });
    } catch (error) {
      this.#swept = undefined;
      throw error;
    }
  }

  async #steps(
    request: BuildRequest,
    paths: BuildPaths,
    { onOutput, signal }: BuildCall,
    { marked }: { readonly marked: boolean },
  ): Promise<void> {
    const { log, networks, random } = this.#parts;
    const translate = translator({ marked });
    const id = createHash('sha256').update(random.id()).digest('hex');
    await using network = await networks.lend(id, request.networkMode, { signal });
    await writeFile(paths.hosts, hostsWithoutNetwork(request.extraHosts), { mode: 0o644 });
    const args = budArguments(request, network, paths);
    const onLine = (line: string) => {
      if (isLogLine(line)) log.info('buildah', { line });
      else {
        const text = translate(line);
        if (text !== undefined) onOutput(text);
      }
    };
    const { code, lastError } = await this.#buildah.run(args, {
      signal,
      onLine,
      ownHosts: network.place !== 'host',
      env: budEnvironment(request),
    });
    if (code === 0) return;
    const { message, exitCode } = failureOf(lastError === '' ? `exit status ${code}` : lastError);
    throw new SwarmError('failed-precondition', message, {
      details: exitCode === undefined ? {} : { exitCode },
    });
  }

  /** Makes an image that is built on known to buildah under its name. */
  async #provide(name: string, pull: boolean, folder: string, call: BuildCall): Promise<void> {
    const { images } = this.#parts;
    const reference = withDefaultTag(parseReference(name));
    const canonical = canonicalString(reference);
    const { onOutput, signal } = call;
    const present = pull ? undefined : await images.get(name);
    let image: Image;
    if (present === undefined) {
      const auth = call.auth(reference.domain);
      onOutput(`Pulling ${name}\n`);
      image = await images.pull(name, { signal, ...(auth === undefined ? {} : { auth }) });
    } else image = present;
    await this.#bases.run(
      canonical,
      async () => {
        let hex = image.id.replace('sha256:', '');
        const known = await this.#buildah.run(
          ['inspect', '--type=image', '--format={{.FromImageID}}', hex],
          {
            signal,
          },
        );
        if (known.code !== 0) {
          const layout = join(folder, 'base');
          await mkdir(layout, { recursive: true });
          await unpackTar(await images.save([image.id], { signal }), layout, signal);
          hex = (await completeHistory(layout)) ?? hex;
          await this.#quietly(['pull', '--quiet', `oci:${layout}`], signal);
          await rm(layout, { recursive: true, force: true });
        }
        await this.#quietly(['tag', hex, canonical], signal);
      },
      signal,
    );
  }

  async #quietly(args: readonly string[], signal: AbortSignal): Promise<void> {
    const { code, lastError } = await this.#buildah.run(args, { signal });
    if (code === 0) return;
    throw new SwarmError(
      'failed-precondition',
      `buildah ${args[0]}: ${failureOf(lastError).message}`,
    );
  }

  /** The folder holds a manifest, and blobs named by their digests. */
  async #install(folder: string, tags: readonly string[]): Promise<void> {
    const names = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    const blobs = await Promise.all(
      names.map(async (name) => ({
        digest: `sha256:${name}`,
        size: (await stat(join(folder, name))).size,
      })),
    );
    const manifest = await readFile(join(folder, 'manifest.json'));
    const blob = (digest: string) => createReadStream(join(folder, digest.replace('sha256:', '')));
    await this.#parts.images.load(archiveOf(manifest, tags, blob, blobs));
  }
}

/** The files that the client has sent, or those of the address that it has named. */
async function contextOf(
  { remote }: BuildRequest,
  sent: AsyncIterable<Uint8Array>,
  folder: string,
  { onOutput, signal }: BuildCall,
): Promise<Fetched> {
  if (remote === '') {
    await unpackTar(sent, folder, signal);
    return { context: folder };
  }
  const parsed = parseRemote(remote);
  onOutput(`Fetching the build context ${remote}\n`);
  return fetchRemote(parsed, folder, signal);
}

/** The same for the same arguments. */
function digestOf(buildArgs: BuildRequest['buildArgs']): string {
  const values = JSON.stringify(Object.entries(buildArgs).toSorted(byName));
  return createHash('sha256').update(values).digest('hex').slice(0, 16);
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
