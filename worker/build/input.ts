/** Where a build has its Dockerfile and its files from: of a request, or of an address. */
import type { RegistryAuth } from '../image/images.ts';
import { dockerfileIn, unpackTar } from './context.ts';
import type { ClientNeeds } from './mounts.ts';
import { fetchRemote, parseRemote, type Fetched } from './remote.ts';
import type { BuildReport } from './report.ts';
import type { BuildRequest } from './request.ts';

/** What inputs work with. */
export interface InputSite {
  readonly request: BuildRequest;
  /** An empty folder of the build, for the context. */
  readonly contextFolder: string;
  /** One for anything else, in memory where the host has that: for secrets. */
  readonly privateFolder: string;
  readonly report: BuildReport;
  readonly signal: AbortSignal;
}

export interface Dockerfile {
  /** As messages name it. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
}

export interface ContextFiles {
  readonly folder: string;
  /** In place of the context's own .dockerignore. */
  readonly ignoreFile?: string;
  /** What buildah is to be told besides. */
  readonly extraArguments: readonly string[];
}

export interface BuildInput {
  dockerfile(site: InputSite): Promise<Dockerfile>;
  /** Called after `dockerfile`. Disposed of when the build has ended. */
  context(site: InputSite, needs: ClientNeeds): Promise<ContextFiles & AsyncDisposable>;
  /** The credentials for a registry, such as "docker.io". */
  auth(domain: string, signal: AbortSignal): Promise<RegistryAuth | undefined>;
}

/** The files that the client has sent as a tar, or those of the address that it has named. */
export class SentInput implements BuildInput {
  readonly #sent: AsyncIterable<Uint8Array>;
  readonly #auth: (domain: string) => RegistryAuth | undefined;
  #fetched: Fetched | undefined;

  constructor(sent: AsyncIterable<Uint8Array>, auth: (domain: string) => RegistryAuth | undefined) {
    this.#sent = sent;
    this.#auth = auth;
  }

  async dockerfile(site: InputSite): Promise<Dockerfile> {
    this.#fetched = await this.#fetch(site);
    const name = this.#fetched.dockerfile ?? site.request.dockerfile;
    return { name, ...(await dockerfileIn(this.#fetched.context, name)) };
  }

  async context({ contextFolder }: InputSite): Promise<ContextFiles & AsyncDisposable> {
    return {
      folder: this.#fetched?.context ?? contextFolder,
      extraArguments: [],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  async auth(domain: string): Promise<RegistryAuth | undefined> {
    return this.#auth(domain);
  }

  async #fetch({ request, contextFolder, report, signal }: InputSite): Promise<Fetched> {
    const { remote } = request;
    if (remote === '') {
      await unpackTar(this.#sent, contextFolder, signal);
      return { context: contextFolder };
    }
    const parsed = parseRemote(remote);
    return report.during({ kind: 'remote', name: remote }, () =>
      fetchRemote(parsed, contextFolder, signal),
    );
  }
}
