/** Sends a changed spec of a service, made from the version that was read. */
import { isDeepStrictEqual } from 'node:util';
import { SwarmError } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { serviceSpec } from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import type { WireService } from '../client/wire.ts';
import { draftOf, type SpecDraft } from './draft.ts';
import { findService } from './lookup.ts';
import { isConflict, isLost, patiently } from './patience.ts';

export interface ChangeOptions {
  readonly registryAuth?: string;
  /** Whose stored credentials go on being used where none are sent. */
  readonly registryAuthFrom?: 'spec' | 'previous-spec';
  /** Goes back to the spec before the last change; what `change` does is then left aside. */
  readonly rollback?: boolean;
}

/** Called again, on what there is then, where others were faster. */
export type SpecEdit = (spec: SpecDraft) => void | Promise<void>;

interface Changed {
  /** The daemon's. */
  readonly warnings: readonly string[];
  /** The service's version before the change. */
  readonly sinceVersion: number;
}

/** Somebody who changes the service without a pause is not to be outrun. */
const maxAttempts = 10;

/**
 * A change that others have made meanwhile is kept: the edit is applied to the new spec. An answer
 * that was lost, as with the leader that was to give it, is looked for in the service itself.
 */
export async function changeService(
  { clock }: { readonly clock: Clock },
  client: Client,
  service: WireService,
  edit: SpecEdit,
  options: ChangeOptions = {},
): Promise<Changed> {
  let read = service;
  for (let attempt = 1; ; attempt++) {
    const spec = await editedSpec(read, edit);
    const sinceVersion = read.Version.Index;
    try {
      return { warnings: await send(client, read, spec, options), sinceVersion };
    } catch (error) {
      if (attempt >= maxAttempts || !(isConflict(error) || isLost(error))) throw error;
      const before = read;
      read = await patiently(clock, () => findService(client, before.ID));
      const wanted = options.rollback === true ? before.PreviousSpec : serviceSpec.encode(spec);
      const isNewer = read.Version.Index !== sinceVersion;
      if (isLost(error) && isNewer && sameSpec(wanted, read.Spec)) {
        return { warnings: [], sinceVersion };
      }
      // Going back from what somebody else has just made of it is not what was asked for.
      if (options.rollback === true && !sameSpec(before.Spec, read.Spec)) {
        throw new SwarmError('aborted', 'the service was changed by others: look at it again');
      }
    }
  }
}

/** The spec as the edit leaves it. */
export async function editedSpec(service: WireService, edit: SpecEdit): Promise<SpecDraft> {
  const spec = draftOf(serviceSpec.decode(service.Spec, 'Spec'));
  await edit(spec);
  return spec;
}

/** Specs in Docker's JSON, compared by what they say. */
function sameSpec(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b));
}

function plain(spec: unknown): unknown {
  return JSON.parse(JSON.stringify(serviceSpec.encode(serviceSpec.decode(spec, 'Spec'))));
}

async function send(
  client: Client,
  service: WireService,
  spec: SpecDraft,
  options: ChangeOptions,
): Promise<readonly string[]> {
  const answer = await client.json<{ Warnings?: readonly string[] | null } | undefined>(
    'POST',
    `/services/${service.ID}/update`,
    {
      query: {
        version: service.Version.Index,
        registryAuthFrom: options.registryAuth === undefined ? options.registryAuthFrom : undefined,
        rollback: options.rollback === true ? 'previous' : undefined,
      },
      body: serviceSpec.encode(spec),
      headers:
        options.registryAuth === undefined ? {} : { 'X-Registry-Auth': options.registryAuth },
    },
  );
  return answer?.Warnings ?? [];
}
