import { performServerHandshake } from 'node:http2';
import { constants } from 'node:crypto';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import type { DescService } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { SwarmError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { formatAddr, parseAddr } from './addr.ts';
import { toStatus } from './errors.ts';
import { implementationOf, type CallContext } from './handler.ts';
import { serverOptions } from './options.ts';
import { authorise, type Allow, type NodePeer } from './peer.ts';
import { definitionOf, type HandlersOf } from './service.ts';

/** What the port needs of the identity that it speaks with. */
export interface ServerIdentity {
  readonly certPem: string;
  readonly keyPem: string;
  /** Whom to trust: the root, and what it has signed to sign others. */
  readonly trustPem: string;
  /** Called when any of them has been replaced. */
  onChange(listener: () => void): Disposable;
  /**
   * Who the holder of this certificate (DER) is. Throws `unauthenticated` with the reason. It is
   * `verified` where TLS has found the way from it to the root, over what the peer has shown.
   */
  authenticate(certificate: Buffer, options: { readonly verified: boolean }): NodePeer;
}

export interface ClusterServerOptions {
  /** "host:port"; port 0 takes a free one. */
  readonly listenAddr: string;
  readonly identity: ServerIdentity;
  /** A node that was removed keeps a valid certificate for a while; it is to be refused here. */
  readonly isRemoved: (nodeId: string) => boolean;
  readonly log: Logger;
}

const handshakeTimeoutMs = 10_000;
const refusedConnectionMs = 10_000;
const connectionsMax = 20_000;

/**
 * The one cluster port. TLS 1.3; a client certificate is asked for, and may be missing (a host that
 * joins has none). One that is not good is never taken for a missing one: each call on such a
 * connection is answered with the reason. Certificates are replaced without closing the port.
 */
export class ClusterServer implements AsyncDisposable {
  readonly #options: ClusterServerOptions;
  readonly #server = new Server(serverOptions);
  readonly #sockets = new Set<TLSSocket>();
  #tls: TlsServer | undefined;
  #watch: Disposable | undefined;

  constructor(options: ClusterServerOptions) {
    this.#options = options;
  }

  /** Serves `handlers` to those that `allow` names; may be called before and after `listen`. */
  addService<S extends DescService>(
    service: S,
    handlers: HandlersOf<S, CallContext>,
    { allow }: { allow: Allow },
  ): void {
    // Calls come on connections that were let in, and may be of a root that has since given way.
    const judge = (certificate: Buffer | undefined) =>
      authorise(certificate && this.#authenticate(certificate, { verified: true }), allow);
    this.#server.addService(definitions(service), implementationOf(service, handlers, judge));
  }

  /** Calls of the service fail with `unimplemented` from now on; streams under way go on. */
  removeService(service: DescService): void {
    this.#server.removeService(definitions(service));
  }

  /** Resolves with the address once the port is open; throws where it is taken. */
  async listen(): Promise<{ addr: string; port: number }> {
    const { identity, listenAddr, log } = this.#options;
    const { host, port } = parseAddr(listenAddr);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const tls = createServer({
      ...contextOf(identity),
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      handshakeTimeout: handshakeTimeoutMs,
    });
    tls.maxConnections = connectionsMax;
    tls.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.setNoDelay(true);
      // A peer that goes away without a word is nothing that this process could not bear.
      socket.on('error', (error) => log.debug('connection broken', { error: messageOf(error) }));
      const refusal = this.#refusalOf(socket);
      if (refusal === undefined) injector.injectConnection(socket);
      else this.#refuse(socket, refusal);
    });
    tls.on('tlsClientError', (error, socket) => {
      log.debug('handshake failed', { error: messageOf(error), peer: socket.remoteAddress });
    });
    this.#watch = identity.onChange(() => tls.setSecureContext(contextOf(identity)));
    this.#tls = tls;
    await new Promise<void>((resolve, reject) => {
      tls.once('error', (error) => reject(cannotListen(listenAddr, error)));
      tls.listen(port, host, resolve);
    });
    tls.on('error', (error) => log.error('the cluster port', { error: messageOf(error) }));
    const address = tls.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    return { addr: formatAddr(host, bound), port: bound };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    const tls = this.#tls;
    const closed = new Promise<void>((resolve) => {
      if (tls?.listening !== true) resolve();
      else tls.close(() => resolve());
    });
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #authenticate(certificate: Buffer, options: { readonly verified: boolean }): NodePeer {
    const peer = this.#options.identity.authenticate(certificate, options);
    if (this.#options.isRemoved(peer.nodeId)) throw removed(peer.nodeId);
    return peer;
  }

  /** Why this connection's certificate is not good; nothing where it is, or where there is none. */
  #refusalOf(socket: TLSSocket): SwarmError | undefined {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return undefined;
    try {
      this.#authenticate(certificate.raw, { verified: socket.authorized });
    } catch (error) {
      return SwarmError.from(error);
    }
    if (socket.authorized) return undefined;
    const reason = String(socket.authorizationError);
    return new SwarmError('unauthenticated', `the node's certificate was refused: ${reason}`);
  }

  /** Answers every call with the reason. */
  #refuse(socket: TLSSocket, refusal: SwarmError): void {
    this.#options.log.warn('certificate refused', {
      peer: socket.remoteAddress,
      reason: refusal.message,
    });
    const session = performServerHandshake(socket);
    const { code, details, metadata } = toStatus(refusal);
    session.on('error', (error) =>
      this.#options.log.debug('refused connection failed', { error: messageOf(error) }),
    );
    session.on('stream', (stream) => {
      stream.on('error', (error) =>
        this.#options.log.debug('refused call failed', { error: messageOf(error) }),
      );
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc+proto',
          'grpc-status': String(code),
          'grpc-message': encodeURI(details ?? ''),
          ...metadata?.toHttp2Headers(),
        },
        { endStream: true },
      );
    });
    session.setTimeout(refusedConnectionMs, () => session.destroy());
  }
}

export function removed(nodeId: string): SwarmError {
  return new SwarmError(
    'permission-denied',
    `node ${nodeId} has been removed from the swarm; run "ts-swarm leave" on it, ` +
      'then join again with a token',
    { details: { reason: 'node-removed', nodeId } },
  );
}

function contextOf(identity: ServerIdentity) {
  return {
    cert: identity.certPem,
    key: identity.keyPem,
    ca: identity.trustPem,
    minVersion: 'TLSv1.3' as const,
    // A resumed session would skip the check of the certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

function definitions(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [method.localName, definitionOf(method)]),
  );
}

function cannotListen(addr: string, error: Error): SwarmError {
  const taken = 'code' in error && error.code === 'EADDRINUSE';
  const reason = taken ? 'another process holds it' : error.message;
  return new SwarmError(
    'unavailable',
    `cannot listen on the cluster port ${addr}: ${reason}; choose another with --listen-addr`,
    { cause: error },
  );
}
