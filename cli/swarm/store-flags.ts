/** The flags that put the managers' store on an external etcd. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../lib/errors.ts';
import { commandError, usageError } from '../command/errors.ts';
import { text, type FlagValues } from '../command/flags.ts';

const store = text('store', 'Keep the swarm in this etcd (format: "etcd://host:2379,…/prefix")', {
  word: 'url',
});
const certificates = {
  CA: text('store-ca', "PEM of the CA that signed the store's certificate", { word: 'file' }),
  Cert: text('store-cert', 'PEM of the certificate that managers show to the store', {
    word: 'file',
  }),
  Key: text('store-key', "PEM of that certificate's key", { word: 'file' }),
};

export const storeFlags = [store, ...Object.values(certificates)];

/** The part of a request that names the store; empty where there is none to name. */
export async function storeOf(flags: FlagValues): Promise<Record<string, string> | undefined> {
  const url = flags.get(store);
  const body: Record<string, string> = {};
  for (const [field, flag] of Object.entries(certificates)) {
    const path = flags.get(flag);
    if (path === undefined) continue;
    if (url === undefined) throw usageError(`--${flag.name} needs --store`);
    try {
      body[field] = await readFile(path, 'utf8');
    } catch (error) {
      throw commandError(`${path} cannot be read: ${messageOf(error)}`);
    }
  }
  return url === undefined ? undefined : { URL: url, ...body };
}
