import { CertificateAuthority } from '../../gen/ca_pb.js';
import type { Clock } from '../clock.ts';
import { SwarmError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Random } from '../random.ts';
import { createSigningRequest } from './csr.ts';
import { connectWithoutCertificate, type NodeIdentity } from './identity.ts';

/** Where new certificates come from: a manager, or this process where it is one itself. */
export interface CertificateSource {
  renew(
    request: {
      readonly csrPem: string;
      /** Present where the certificate is not valid now; the request is then for its key. */
      readonly previousCertificatePem?: string;
    },
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly certPem: string }>;
}

/** Long sleeps are cut to this, so that a clock that jumps is noticed. */
const sleepMaxMs = 10 * 60_000;
const retryMinMs = 1_000;
const retryMaxMs = 5 * 60_000;
const callTimeoutMs = 10_000;

/**
 * Renews the certificate at a random time between 50 % and 80 % of its life, so that the nodes of a
 * swarm do not come all at once; retries with growing pauses, also after it has expired.
 */
export class CertificateRenewer implements AsyncDisposable {
  readonly #parts: RenewerParts;
  readonly #stop = new AbortController();
  #wake: (() => void) | undefined;
  #renewAtMs = 0;
  #running: Promise<void> | undefined;

  constructor(parts: RenewerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#schedule();
    this.#running = this.#run();
  }

  /** Renews at once: the node's role has changed, or the root has. */
  renewNow(): void {
    this.#renewAtMs = 0;
    this.#wake?.();
  }

  /** Renews at some time within the next `withinMs`, so that not all nodes of a swarm come at once. */
  renewWithin(withinMs: number): void {
    const { clock, random } = this.#parts;
    const atMs = clock.nowMs() + random.float() * withinMs;
    if (atMs >= this.#renewAtMs) return;
    this.#renewAtMs = atMs;
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, identity, log, random } = this.#parts;
    const signal = this.#stop.signal;
    let retryMs = 0;
    while (!signal.aborted) {
      const waitMs = retryMs > 0 ? retryMs : this.#dueMs() - clock.nowMs();
      if (waitMs > 0) await this.#sleep(Math.min(waitMs, sleepMaxMs));
      if (signal.aborted) return;
      if (retryMs === 0 && clock.nowMs() < this.#dueMs()) continue;
      // Whoever asks from now on may mean more than the certificate that is under way: that may
      // have been issued before the role or the root has changed.
      this.#renewAtMs = Infinity;
      try {
        await renewOnce(identity, this.#parts.source, signal);
        const askedForMs = this.#renewAtMs;
        this.#schedule();
        this.#renewAtMs = Math.min(this.#renewAtMs, askedForMs);
        retryMs = 0;
        log.info('certificate renewed', { notAfterMs: identity.notAfterMs, role: identity.role });
      } catch (error) {
        if (signal.aborted) return;
        this.#renewAtMs = 0;
        const growing = Math.min(retryMaxMs, Math.max(retryMinMs, retryMs * 2));
        retryMs = Math.round(growing * (0.5 + random.float() / 2));
        log.warn('cannot renew the certificate', {
          error: SwarmError.from(error).message,
          notAfterMs: identity.notAfterMs,
          retryMs,
        });
      }
    }
  }

  /**
   * At once where the certificate is valid only from some day on: it was issued while a clock was
   * wrong, and nobody believes it before that day.
   */
  #dueMs(): number {
    const { clock, identity } = this.#parts;
    return clock.nowMs() < identity.notBeforeMs ? 0 : this.#renewAtMs;
  }

  #schedule(): void {
    const { identity, random } = this.#parts;
    const lifeMs = identity.notAfterMs - identity.notBeforeMs;
    this.#renewAtMs = identity.notBeforeMs + lifeMs * (0.5 + 0.3 * random.float());
  }

  async #sleep(delayMs: number): Promise<void> {
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    const timer = this.#parts.clock.after(delayMs, woken.resolve);
    const onStop = () => woken.resolve();
    this.#stop.signal.addEventListener('abort', onStop, { once: true });
    try {
      await woken.promise;
    } finally {
      timer.cancel();
      this.#stop.signal.removeEventListener('abort', onStop);
      this.#wake = undefined;
    }
  }
}

export interface RenewerParts {
  readonly identity: NodeIdentity;
  readonly source: CertificateSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Gets a certificate for a new key, or for the present key where its certificate is not valid. */
export async function renewOnce(
  identity: NodeIdentity,
  source: CertificateSource,
  signal: AbortSignal,
): Promise<void> {
  const { isCurrent, certPem: previousCertificatePem } = identity;
  const request = await createSigningRequest(isCurrent ? undefined : identity.keyPem);
  const { certPem } = await source.renew(
    { csrPem: request.csrPem, ...(isCurrent ? {} : { previousCertificatePem }) },
    { signal },
  );
  await identity.replace({ certPem, keyPem: request.keyPem });
}

/** Nothing was heard that would keep the node from a certificate. */
function isSilence({ code }: SwarmError): boolean {
  return code === 'unavailable' || code === 'deadline-exceeded';
}

interface ManagersOwn {
  readonly source: CertificateSource;
  /** Whether what this manager knows of roles is the latest. */
  readonly leads: () => boolean;
}

/**
 * For managers. One that follows asks the others, as it may not have heard yet what its own role is
 * to be. Where its certificate is not valid and nobody can be reached it issues its own: all
 * managers may have been off for longer than their certificates live, and none could then be
 * believed by the others. It holds the root's key, and what shuts a node out is its removal.
 */
export function managersCertificates(
  own: ManagersOwn,
  { remote, log }: { readonly remote: CertificateSource; readonly log: Logger },
): CertificateSource {
  return {
    async renew(request, options) {
      if (own.leads()) return own.source.renew(request, options);
      try {
        return await remote.renew(request, options);
      } catch (thrown) {
        const error = SwarmError.from(thrown);
        options.signal.throwIfAborted();
        if (request.previousCertificatePem === undefined || !isSilence(error)) throw error;
        log.warn('this manager renews its own certificate, as no other can be reached', { error });
        return own.source.renew(request, options);
      }
    },
  };
}

/** Asks the managers in turn. */
export function remoteCertificates(
  identity: NodeIdentity,
  managers: () => readonly string[],
): CertificateSource {
  return {
    async renew(request, { signal }) {
      let failure = new SwarmError('unavailable', 'no manager is known that could be asked');
      for (const addr of managers()) {
        using connection =
          request.previousCertificatePem === undefined
            ? identity.connect(addr)
            : connectWithoutCertificate(addr, identity.trustPem);
        try {
          const issued = await connection
            .client(CertificateAuthority)
            .issueCertificate(request, { signal, timeoutMs: callTimeoutMs });
          return { certPem: issued.certificatePem };
        } catch (error) {
          signal.throwIfAborted();
          // What a manager answered says more than that another one cannot be reached.
          if (isSilence(failure)) failure = SwarmError.from(error);
        }
      }
      throw failure;
    },
  };
}
