/** Builds images from Dockerfiles: on this node's images, and into them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linkAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { KeyedMutex, Semaphore } from '../../lib/concurrency.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { archiveOf } from '../image/archive/save.ts';
import type { Image, Images } from '../image/images.ts';
import { isObject } from '../image/oci.ts';
import { normalizePlatform } from '../image/platform.ts';
import { canonicalString, parseReference, withDefaultTag } from '../image/reference.ts';
import { completeHistory } from './base-history.ts';
import { Buildah, type BuildahOptions } from './buildah.ts';
import { cacheUsage, type CacheUse } from './cache-usage.ts';
import { pruneCache, type Pruned, type PruneRequest } from './cache.ts';
import { unpackTar } from './context.ts';
import { markStages, planDockerfile } from './dockerfile.ts';
import type { BuildInput, Dockerfile } from './input.ts';
import { BuildJobs, BuildSessions } from './kit/index.ts';
import { needsOf } from './mounts.ts';
import { failureOf, isLogLine } from './output.ts';
import type { BuildReport, StepsPlan } from './report.ts';
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
  readonly report: BuildReport;
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
  readonly clock: Clock;
}

/** Each takes a core or more while it runs. */
const maxBuilds = 2;
const maxWaiting = 16;

export class Builder implements AsyncDisposable {
  /** Of clients of BuildKit. */
  readonly sessions: BuildSessions;
  readonly jobs: BuildJobs;
  readonly #parts: BuilderParts;
  readonly #dataRoot: string;
  readonly #runRoot: string;
  readonly #buildah: Buildah;
  readonly #slots = new Semaphore(maxBuilds);
  /** A name stands for one image at a time in buildah's storage. */
  readonly #bases = new KeyedMutex();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #swept: Promise<void> | undefined;

  constructor(options: BuildahOptions, parts: BuilderParts) {
    this.#dataRoot = options.dataRoot;
    this.#runRoot = options.runRoot;
    this.#buildah = new Buildah(options);
    this.#parts = parts;
    this.sessions = new BuildSessions(parts.clock);
    this.jobs = new BuildJobs(parts.clock);
  }

  /**
   * Reads the input and builds. Returns the image's id. Throws `invalid-argument` for what
   * the request or the Dockerfile has wrong, and `failed-precondition` (with `details.exitCode` where
   * a command failed) for a build that failed.
   */
  async build(request: BuildRequest, input: BuildInput, call: BuildCall): Promise<string> {
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
    const work = this.#slots.run(() => this.#build(request, input, { ...call, signal }), signal);
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
    this.sessions[Symbol.dispose]();
  }

  async #build(request: BuildRequest, input: BuildInput, call: BuildCall): Promise<string> {
    // What a daemon that was killed has left of its builds is nobody's any more.
    this.#swept ??= this.#sweep();
    await this.#swept;
    const id = this.#parts.random.id();
    const folder = join(this.#dataRoot, 'builds', id);
    const privateFolder = join(this.#runRoot, 'builds', id);
    const contextFolder = join(folder, 'context');
    const site = { ...call, request, contextFolder, privateFolder };
    for (const path of [contextFolder, privateFolder]) {
      await mkdir(path, { recursive: true, mode: 0o700 });
    }
    try {
      const dockerfile = await input.dockerfile(site);
      const { plan, needs } = planned(dockerfile, request, call.report);
      const bases = new Map<string, Image>();
      for (const name of plan.images) {
        bases.set(name, await this.#provide(name, { folder, input, pull: request.pull }, call));
      }
      const isTriggering = [...bases.values()].some((image) => listOf(image, 'OnBuild').length > 0);
      const wanted = isTriggering ? { ...needs, paths: undefined } : needs;
      await using context = await input.context(site, wanted);
      const shellOf = (stage: number) => shellOfBase(bases.get(plan.stages[stage]?.base ?? ''));
      const spelled = spellOutShells(dockerfile.text, shellOf);
      const marked = plan.bakesArgs;
      const text = marked ? markStages(spelled, digestOf(request.buildArgs)) : spelled;
      const isSame = text === dockerfile.text;
      const path = isSame ? dockerfile.path : join(folder, 'Dockerfile');
      if (!isSame) await writeFile(path, text);
      const paths = {
        idFile: join(folder, 'id'),
        hosts: join(folder, 'hosts'),
        dockerfile: path,
        context: context.folder,
        ...(context.ignoreFile === undefined ? {} : { ignoreFile: context.ignoreFile }),
        extraArguments: context.extraArguments,
      };
      await this.#steps(request, paths, call, { marked, stages: plan.stages });
      return await this.#export(request, paths.idFile, join(folder, 'image'), call);
    } finally {
      await rm(folder, { recursive: true, force: true });
      await rm(privateFolder, { recursive: true, force: true });
    }
  }

  /** What failed once is tried again by the next build. */
  async #sweep(): Promise<void> {
    try {
      for (const root of [this.#dataRoot, this.#runRoot]) {
        await rm(join(root, 'builds'), { recursive: true, force: true });
      }
    } catch (error) {
      this.#swept = undefined;
      throw error;
    }
  }

  /** Makes what buildah has built an image of this node. */
  async #export(
    { tags }: BuildRequest,
    idFile: string,
    folder: string,
    { report, signal }: BuildCall,
  ): Promise<string> {
    return report.during({ kind: 'export', names: tags }, async ({ did }) => {
      const id = (await readFile(idFile, 'utf8')).trim();
      const digest = id.startsWith('sha256:') ? id : `sha256:${id}`;
      await this.#quietly(['push', '--quiet', id, `dir:${folder}`], signal);
      did('exporting layers');
      await this.#install(folder, tags);
      did(`writing image ${digest}`);
      for (const tag of tags) did(`naming to ${tag}`);
      return digest;
    });
  }

  async #steps(
    request: BuildRequest,
    paths: BuildPaths,
    { report, signal }: BuildCall,
    plan: StepsPlan,
  ): Promise<void> {
    const { log, networks, random } = this.#parts;
    const id = createHash('sha256').update(random.id()).digest('hex');
    await using network = await networks.lend(id, request.networkMode, { signal });
    await writeFile(paths.hosts, hostsWithoutNetwork(request.extraHosts), { mode: 0o644 });
    const args = budArguments(request, network, paths);
    const steps = report.steps(plan);
    const onLine = (line: string, stream: 'stdout' | 'stderr') => {
      if (isLogLine(line)) log.info('buildah', { line });
      else steps.line(line, stream);
    };
    const ownHosts = network.place !== 'host';
    const env = budEnvironment(request);
    let ended: Awaited<ReturnType<Buildah['run']>>;
    try {
      ended = await this.#buildah.run(args, { signal, onLine, ownHosts, env });
    } catch (thrown) {
      steps.broken(thrown);
      throw thrown;
    }
    const { code, lastError } = ended;
    if (code === 0) {
      steps.done();
      return;
    }
    const reason = lastError === '' ? `exit status ${code}` : lastError;
    const { message, exitCode } = steps.failed(reason);
    throw new SwarmError('failed-precondition', message, {
      details: exitCode === undefined ? {} : { exitCode },
    });
  }

  /** Makes an image that is built on known to buildah under its name. */
  async #provide(
    name: string,
    from: { readonly folder: string; readonly input: BuildInput; readonly pull: boolean },
    { report, signal }: BuildCall,
  ): Promise<Image> {
    const { images } = this.#parts;
    const { folder, input, pull } = from;
    const reference = withDefaultTag(parseReference(name));
    const canonical = canonicalString(reference);
    const present = pull ? undefined : await images.get(name);
    const part = { kind: present === undefined ? 'pull' : 'base', name: canonical } as const;
    const image = await report.during({ ...part, name }, async () => {
      if (present !== undefined) return present;
      const auth = await input.auth(reference.domain, signal);
      return images.pull(name, { signal, ...(auth === undefined ? {} : { auth }) });
    });
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
          await unpackTar(await images.save([image.id], { signal, quietly: true }), layout, signal);
          hex = (await completeHistory(layout)) ?? hex;
          await this.#quietly(['pull', '--quiet', `oci:${layout}`], signal);
          await rm(layout, { recursive: true, force: true });
        }
        await this.#quietly(['tag', hex, canonical], signal);
      },
      signal,
    );
    return image;
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
    await this.#parts.images.load(archiveOf(manifest, tags, blob, blobs), { built: true });
  }
}

/** What the Dockerfile says; what is wrong with it is said in the client's words. */
function planned(dockerfile: Dockerfile, request: BuildRequest, report: BuildReport) {
  try {
    const plan = planDockerfile(dockerfile.text, {
      fileName: dockerfile.name,
      buildArgs: request.buildArgs,
      target: request.target,
      builtins: platformArguments(),
    });
    return { plan, needs: needsOf(dockerfile.text) };
  } catch (thrown) {
    const { code, message } = SwarmError.from(thrown);
    throw new SwarmError(code, report.refusal(message), { cause: thrown });
  }
}

/** What arguments have that every builder knows. */
function platformArguments(): Record<string, string> {
  const {
    os,
    architecture,
    variant = '',
  } = normalizePlatform({
    os: process.platform,
    architecture: process.arch,
  });
  const own = { OS: os, ARCH: architecture, VARIANT: variant };
  const platform = [os, architecture, variant].filter((part) => part !== '').join('/');
  const all = Object.entries({ ...own, PLATFORM: platform });
  return Object.fromEntries(
    ['TARGET', 'BUILD'].flatMap((side) => all.map(([name, value]) => [`${side}${name}`, value])),
  );
}

/** A list of texts in an image's configuration. */
function listOf({ rawConfig }: Image, key: string): readonly string[] {
  const { config } = rawConfig;
  const value = isObject(config) ? config[key] : undefined;
  return Array.isArray(value) ? value.map(String) : [];
}

function shellOfBase(image: Image | undefined): readonly string[] | undefined {
  const shell = image === undefined ? [] : listOf(image, 'Shell');
  return shell.length === 0 ? undefined : shell;
}

/** The same for the same arguments. */
function digestOf(buildArgs: BuildRequest['buildArgs']): string {
  const values = JSON.stringify(Object.entries(buildArgs).toSorted(byName));
  return createHash('sha256').update(values).digest('hex').slice(0, 16);
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
