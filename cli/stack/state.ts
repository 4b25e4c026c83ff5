/** What a stack has in the swarm now. */
import { stackLabel } from '../../compose/index.ts';
import { filtersQuery, type Client } from '../client/index.ts';
import type { WireMeta, WireService } from '../client/wire.ts';
import type { WireNetwork } from '../network/options.ts';
import { listServices } from '../service/lookup.ts';

export interface StackNetworkState extends WireNetwork {
  readonly Attachable?: boolean;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Config?: readonly Readonly<Record<string, unknown>>[] | null;
  };
}

/** A secret or a config; of a secret, the API does not give the content. */
export interface StackFileState extends WireMeta {
  readonly Spec: {
    readonly Name: string;
    readonly Data?: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly Templating?: { readonly Name?: string };
  };
}

export interface StackState {
  /** The stack's own. */
  readonly services: readonly WireService[];
  /** All of the swarm: what is external is among them. */
  readonly networks: readonly StackNetworkState[];
  readonly secrets: readonly StackFileState[];
  readonly configs: readonly StackFileState[];
}

export async function readState(client: Client, stack: string): Promise<StackState> {
  const [services, networks, secrets, configs] = await Promise.all([
    stackServices(client, stack),
    client.get<StackNetworkState[] | null>('/networks', {
      filters: filtersQuery({ scope: ['swarm'] }),
    }),
    client.get<StackFileState[] | null>('/secrets'),
    client.get<StackFileState[] | null>('/configs'),
  ]);
  return {
    services,
    networks: networks ?? [],
    secrets: secrets ?? [],
    configs: configs ?? [],
  };
}

export function stackServices(
  client: Client,
  stack: string,
  more: Readonly<Record<string, readonly string[]>> = {},
): Promise<readonly WireService[]> {
  const label = [`${stackLabel}=${stack}`, ...(more['label'] ?? [])];
  return listServices(client, { ...more, label });
}

export function isOf(
  stack: string,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return labels?.[stackLabel] === stack;
}
