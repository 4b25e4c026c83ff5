/** Talks to registries (the v2 API of the OCI distribution spec). */
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { systemRandom, type Random } from '../../../lib/random.ts';
import type { RegistryAuth } from '../images.ts';
import { defaultDomain, type Reference } from '../reference.ts';
import { Asker, defaultRetry, type FailedAnswer, type RetryPolicy } from './asker.ts';
import { Authorizer } from './auth.ts';
import { Destination } from './destination.ts';
import { EndpointPolicy, type Endpoint } from './endpoints.ts';
import { pushError, repositoryError } from './errors.ts';
import { defaultTimeouts, HttpClient, type HttpTimeouts } from './http.ts';
import { Repository } from './repository.ts';
import {
  checkLogin,
  hubSearchEndpoint,
  searchIn,
  serviceError,
  type SearchResult,
} from './service.ts';
import { TrustStore } from './trust.ts';

export interface RegistryOptions {
  /** "host:port", "host", or a CIDR. Loopback always counts as insecure. */
  readonly insecureRegistries: readonly string[];
  /** URLs of mirrors of docker.io, tried before it. */
  readonly mirrors: readonly string[];
  /** `<folder>/<host:port>/*.crt` are further authorities: Docker's /etc/docker/certs.d. */
  readonly certsFolder?: string;
  /** Addresses of a host, to tell whether a CIDR makes it insecure; the system's by default. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
  readonly timeouts?: HttpTimeouts;
  readonly retry?: RetryPolicy;
}

export class RegistryClient implements AsyncDisposable {
  readonly #policy: EndpointPolicy;
  readonly #http: HttpClient;
  readonly #authorizer: Authorizer;
  readonly #retry: RetryPolicy;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;

  /** Throws `invalid-argument` for a registry or mirror that cannot be meant. */
  constructor(
    options: RegistryOptions,
    dependencies: { clock: Clock; log: Logger; random?: Random },
  ) {
    const { clock, log, random = systemRandom } = dependencies;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
    this.#retry = options.retry ?? defaultRetry;
    this.#policy = new EndpointPolicy(options);
    const isInsecure = (host: string) => this.#policy.isInsecure(host);
    const trust = new TrustStore(options.certsFolder);
    const timeouts = options.timeouts ?? defaultTimeouts;
    this.#http = new HttpClient({ clock, timeouts, trust, isInsecure });
    this.#authorizer = new Authorizer({ http: this.#http, clock, isInsecure });
  }

  /** For reading: mirrors are asked too. */
  async repository(reference: Reference, auth?: RegistryAuth): Promise<Repository> {
    const endpoints = await this.#policy.endpointsOf(reference.domain);
    const { path } = reference;
    const fault = (answer: FailedAnswer) => repositoryError(reference, answer);
    const asker = new Asker({ path, actions: 'pull', auth, fault }, endpoints, this.#parts);
    return new Repository(reference, asker, { log: this.#log, attempts: this.#retry.attempts });
  }

  /** For writing. `sources`: repositories of the same registry that hold some of the blobs. */
  async destination(
    reference: Reference,
    sources: readonly string[],
    auth?: RegistryAuth,
  ): Promise<Destination> {
    const all = await this.#policy.endpointsOf(reference.domain);
    const endpoints = all.filter(({ mirror }) => !mirror);
    const { path } = reference;
    const subject = { path, actions: 'pull,push', sources, auth, fault: pushError } as const;
    return new Destination(new Asker(subject, endpoints, this.#parts));
  }

  /** Throws `unauthenticated` where the registry does not let the credentials in. */
  async login(domain: string, auth: RegistryAuth, signal?: AbortSignal): Promise<void> {
    const all = await this.#policy.endpointsOf(domain);
    const endpoints = all.filter(({ mirror }) => !mirror);
    await checkLogin(this.#service(endpoints, auth), signal);
  }

  async search(
    domain: string,
    query: { readonly term: string; readonly limit: number },
    auth: RegistryAuth | undefined,
    signal?: AbortSignal,
  ): Promise<readonly SearchResult[]> {
    const endpoints =
      domain === defaultDomain ? [hubSearchEndpoint] : await this.#policy.endpointsOf(domain);
    return searchIn(this.#service(endpoints, auth), domain, query, signal);
  }

  #service(endpoints: readonly Endpoint[], auth: RegistryAuth | undefined): Asker {
    const subject = { path: '', actions: 'pull', auth, fault: serviceError } as const;
    return new Asker(subject, endpoints, this.#parts);
  }

  get #parts() {
    return {
      http: this.#http,
      authorizer: this.#authorizer,
      clock: this.#clock,
      random: this.#random,
      log: this.#log,
      retry: this.#retry,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}
