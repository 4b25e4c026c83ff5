/** Which certificates are believed, and shown, when talking to a registry. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { errnoOf } from '../../../lib/errors.ts';

/**
 * Node's own authorities, the system's, and Docker's layout of extra ones: `<folder>/<host:port>/`
 * with `*.crt` for authorities, `*.cert` and `*.key` for a client's certificate.
 */
export class TrustStore {
  readonly #folder: string | undefined;
  #shared: readonly string[] | undefined;

  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  async contextFor(host: string): Promise<SecureContext> {
    this.#shared ??= [
      ...new Set([...getCACertificates('default'), ...getCACertificates('system')]),
    ];
    const files = await this.#filesOf(host);
    const pick = (ending: string) =>
      files.filter(({ name }) => name.endsWith(ending)).map(({ text }) => text);
    const cert = pick('.cert');
    const key = pick('.key');
    return createSecureContext({
      ca: [...this.#shared, ...pick('.crt')],
      ...(cert.length > 0 && key.length > 0 ? { cert, key } : {}),
    });
  }

  async #filesOf(host: string): Promise<readonly { name: string; text: string }[]> {
    if (this.#folder === undefined) return [];
    const folder = join(this.#folder, host);
    try {
      const names = (await readdir(folder)).sort();
      return await Promise.all(
        names.map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') })),
      );
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return [];
      throw thrown;
    }
  }
}
