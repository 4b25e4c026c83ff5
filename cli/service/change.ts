/** Sends a changed spec of a service, made from the version that was read. */
import { serviceSpec } from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import type { WireService } from '../client/wire.ts';
import { draftOf, type SpecDraft } from './draft.ts';

export interface ChangeOptions {
  readonly registryAuth?: string;
  /** Whose stored credentials go on being used where none are sent. */
  readonly registryAuthFrom?: 'spec' | 'previous-spec';
  /** Goes back to the spec before the last change; what `change` does is then left aside. */
  readonly rollback?: boolean;
}

/** Returns the daemon's warnings. */
export async function changeService(
  client: Client,
  service: WireService,
  change: (spec: SpecDraft) => void | Promise<void>,
  options: ChangeOptions = {},
): Promise<readonly string[]> {
  const spec = draftOf(serviceSpec.decode(service.Spec, 'Spec'));
  await change(spec);
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
