/** What `network` verbs share: how a network is read, and how flags become options. */
import type { Client } from '../client/index.ts';
import { list, type Flag } from '../command/flags.ts';

export interface WireNetwork {
  readonly Id: string;
  readonly Name: string;
  readonly Created: string;
  readonly Scope: string;
  readonly Driver: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly Internal?: boolean;
  readonly Ingress?: boolean;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

/** Throws the daemon's "not found". */
export function findNetwork(
  client: Client,
  reference: string,
  query: { readonly scope?: string; readonly verbose?: boolean } = {},
): Promise<WireNetwork> {
  return client.get<WireNetwork>(`/networks/${encodeURIComponent(reference)}`, query);
}

/** `key=value` words as a record; a word without a value has an empty one. */
export function recordOf(words: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

/** May be given many times, and each time hold several words with commas between them. */
export function words(name: string, help: string): Flag<readonly string[]> {
  const flag = list(name, help, { word: 'strings' });
  return {
    ...flag,
    parse: (text, previous = []) => [...previous, ...text.split(',')],
  };
}
