/** Sends a new service, once. */
import { isDeepStrictEqual } from 'node:util';
import { SwarmError } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { serviceSpec } from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import type { SpecDraft } from './draft.ts';
import { findService } from './lookup.ts';
import { isLost, patiently, whenLed } from './patience.ts';

interface Created {
  readonly ID: string;
  readonly Warnings?: readonly string[] | null;
}

/** An answer that was lost, as with the leader that was to give it, is asked for again. */
export async function createService(
  { clock }: { readonly clock: Clock },
  client: Client,
  spec: SpecDraft,
  registryAuth: string | undefined,
): Promise<Created> {
  const post = () =>
    client.json<Created>('POST', '/services/create', {
      body: serviceSpec.encode(spec),
      headers: registryAuth === undefined ? {} : { 'X-Registry-Auth': registryAuth },
    });
  try {
    return await whenLed(clock, post);
  } catch (error) {
    // Without a name of its own the service could not be told from another one.
    if (!isLost(error) || spec.name === '' || !isAnswer(error)) throw error;
  }
  try {
    return await patiently(clock, post);
  } catch (error) {
    if (!(error instanceof SwarmError) || error.code !== 'already-exists') throw error;
    const found = await findService(client, spec.name);
    if (!isPartOf(plain(serviceSpec.encode(spec)), plain(found.Spec))) throw error;
    return { ID: found.ID };
  }
}

/** The daemon was there: it, or whom it asked, did not get to the end. */
function isAnswer(error: unknown): boolean {
  return error instanceof SwarmError && !error.message.startsWith('Cannot connect');
}

/** The daemon fills in what was left open, and knows networks by their ids. */
function isPartOf(sent: unknown, found: unknown, key = ''): boolean {
  if (key === 'Networks') return true;
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) {
    return isDeepStrictEqual(sent, found);
  }
  if (typeof found !== 'object' || found === null) return Object.keys(sent).length === 0;
  const all = found as Readonly<Record<string, unknown>>;
  return Object.entries(sent).every(([name, value]) => isPartOf(value, all[name], name));
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
