/** A CA outside a swarm that signs what it is sent, as CFSSL's server does: over HTTPS. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSigningRequest } from '../../lib/identity/index.ts';
import type { RootCa } from '../../manager/ca/index.ts';
import { signLikeCfssl, type AskedOfCa } from '../../manager/ca/testing.ts';

export class ExternalSigner implements AsyncDisposable {
  readonly url: string;
  readonly asked: AskedOfCa[] = [];
  readonly #server: Server;

  private constructor(root: RootCa, server: Server, address: string) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.url = `https://${address}:${port}/api/v1/cfssl/sign`;
    server.on('request', (request, response) => {
      const answer = async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
        const wanted = JSON.parse(Buffer.concat(chunks).toString()) as AskedOfCa;
        this.asked.push(wanted);
        const certificate = await signLikeCfssl(root, wanted);
        return { success: true, result: { certificate }, errors: [], messages: [] };
      };
      answer().then(
        (given) => response.end(JSON.stringify(given)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
  }

  /** Its own certificate is of the root as well. */
  static async start(root: RootCa, address: string): Promise<ExternalSigner> {
    const { csrPem, keyPem } = await createSigningRequest();
    const subject = { CN: 'signer', names: [] };
    const own = { hosts: [address], subject, certificate_request: csrPem };
    const server = createServer({ cert: await signLikeCfssl(root, own), key: keyPem });
    server.listen(0, address);
    await once(server, 'listening');
    return new ExternalSigner(root, server, address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
