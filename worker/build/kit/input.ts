/** Where a build has its Dockerfile, files, logins and secrets from: of its client's session. */
import { readFile, realpath, writeFile, mkdir } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import type { RegistryAuth } from '../../image/images.ts';
import { dockerfileIn, maxDockerfileBytes } from '../context.ts';
import { syntaxOf } from '../dockerfile.ts';
import type { BuildInput, ContextFiles, Dockerfile, InputSite, SentInput } from '../input.ts';
import type { ClientNeeds } from '../mounts.ts';
import type { PartReport } from '../report.ts';
import { ignoredPatterns } from './ignore-file.ts';
import type { BuildSession } from './session.ts';

const defaultName = 'Dockerfile';
/** What this builder reads by itself. */
const ownSyntax = /^(docker\.io\/)?docker\/dockerfile(:|@|$)/;

/** The files beside the client; or those that it sends apart, or names the address of. */
export class SessionInput implements BuildInput {
  readonly #session: BuildSession;
  readonly #apart: SentInput | undefined;
  #excludes: readonly string[] = [];

  constructor(session: BuildSession, apart?: SentInput) {
    this.#session = session;
    this.#apart = apart;
  }

  async dockerfile(site: InputSite): Promise<Dockerfile> {
    if (this.#apart !== undefined) return this.#apart.dockerfile(site);
    const { report, request, privateFolder } = site;
    const name = request.dockerfile;
    const folder = await emptyFolder(privateFolder, 'dockerfile');
    const own = `${name}.dockerignore`;
    const isDefault = name === defaultName;
    const paths = [name, own, ...(isDefault ? [name.toLowerCase()] : [])];
    const definition = await report.during({ kind: 'definition', name }, async (part) => {
      await this.#receive(site, { name: 'dockerfile', excludes: [], paths }, folder, part);
      const found = await textIn(folder, name);
      const actual = found === undefined && isDefault ? name.toLowerCase() : name;
      const text = found ?? (await textIn(folder, actual));
      const syntax = syntaxOf(text ?? '');
      if (syntax !== undefined && !ownSyntax.test(syntax)) {
        part.warn(`syntax=${syntax} is not fetched: this Dockerfile is read as docker/dockerfile`);
      }
      return { actual, text };
    });
    if (definition.text === undefined) {
      throw new SwarmError(
        'invalid-argument',
        'failed to solve with frontend dockerfile.v0: failed to read dockerfile: ' +
          `open ${name}: no such file or directory`,
      );
    }
    const read = await dockerfileIn(folder, definition.actual);
    const ignored = (await textIn(folder, own)) ?? (await this.#ignoreFile(site));
    this.#excludes = ignoredPatterns(ignored ?? '');
    return { name, ...read };
  }

  async context(site: InputSite, needs: ClientNeeds): Promise<ContextFiles & AsyncDisposable> {
    this.#refuseAgents(needs);
    const files = (await this.#apart?.context(site)) ?? (await this.#files(site, needs));
    const secrets = await this.#secrets(site, needs);
    return { ...files, extraArguments: [...files.extraArguments, ...secrets] };
  }

  async #files(site: InputSite, { paths }: ClientNeeds): Promise<ContextFiles & AsyncDisposable> {
    const { contextFolder, privateFolder, report } = site;
    // A build that copies nothing needs nothing of it.
    if (paths === undefined || paths.length > 0) {
      const request = { name: 'context', excludes: this.#excludes, paths: paths ?? [] };
      await report.during({ kind: 'context' }, (part) =>
        this.#receive(site, request, contextFolder, part),
      );
    }
    // The client has left out what is ignored.
    const ignoreFile = join(privateFolder, 'ignore');
    await writeFile(ignoreFile, '');
    return {
      folder: contextFolder,
      ignoreFile,
      extraArguments: [],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  auth(domain: string, signal: AbortSignal): Promise<RegistryAuth | undefined> {
    return this.#session.credentials(domain, { signal });
  }

  async #ignoreFile(site: InputSite): Promise<string | undefined> {
    const folder = await emptyFolder(site.privateFolder, 'ignored');
    const request = { name: 'context', excludes: [], paths: ['.dockerignore'] };
    return site.report.during({ kind: 'ignore-file' }, async (part) => {
      await this.#receive(site, request, folder, part);
      return textIn(folder, '.dockerignore');
    });
  }

  async #receive(
    { signal }: InputSite,
    request: { name: string; excludes: readonly string[]; paths: readonly string[] },
    folder: string,
    part: PartReport,
  ): Promise<void> {
    part.received(0);
    await this.#session.receive(request, folder, {
      signal,
      onProgress: (bytes) => part.received(bytes),
      onLeftOut: (path) => part.warn(`${path} is neither a file, a folder nor a link: left out`),
    });
  }

  /** Options for buildah, which gives each step those that it names. */
  async #secrets({ privateFolder, signal }: InputSite, needs: ClientNeeds): Promise<string[]> {
    const folder = await emptyFolder(privateFolder, 'secrets');
    const options: string[] = [];
    for (const [id, { isRequired }] of needs.secrets) {
      const value = await this.#session.secret(id, { signal });
      if (value !== undefined) {
        const path = join(folder, id);
        await writeFile(path, value, { mode: 0o400, flag: 'wx' });
        options.push(`--secret=id=${id},src=${path}`);
      } else if (isRequired) {
        throw new SwarmError('failed-precondition', `secret ${id} not found: not found`);
      }
    }
    return options;
  }

  #refuseAgents({ agents }: ClientNeeds): void {
    for (const [id] of agents) {
      throw new SwarmError(
        'unimplemented',
        `RUN --mount=type=ssh is not supported (${id}): use a secret`,
      );
    }
  }
}

async function emptyFolder(parent: string, name: string): Promise<string> {
  const folder = join(parent, name);
  await mkdir(folder, { mode: 0o700 });
  return folder;
}

/** Absent where the folder has no such file; what the client sent may be a link anywhere. */
async function textIn(folder: string, name: string): Promise<string | undefined> {
  try {
    const real = await realpath(join(folder, normalize(`/${name}`)));
    if (!real.startsWith((await realpath(folder)) + sep)) return undefined;
    const text = await readFile(real, 'utf8');
    return text.length > maxDockerfileBytes ? undefined : text;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT' || errnoOf(thrown) === 'EISDIR') return undefined;
    throw thrown;
  }
}
