/** Finds services, tasks and nodes over the API. */
import type { Client, Filters } from '../client/index.ts';
import { filtersQuery } from '../client/index.ts';
import type { WireNode, WireService, WireTask } from '../client/wire.ts';

/** By id, name or the beginning of an id. Throws the daemon's "not found". */
export function findService(client: Client, reference: string): Promise<WireService> {
  return client.get<WireService>(`/services/${encodeURIComponent(reference)}`);
}

export async function listTasks(
  client: Client,
  filters: Filters,
  options: { signal?: AbortSignal } = {},
): Promise<readonly WireTask[]> {
  const query = { filters: filtersQuery(filters) };
  return (await client.get<WireTask[] | null>('/tasks', query, options)) ?? [];
}

export async function listNodes(
  client: Client,
  filters: Filters = {},
  options: { signal?: AbortSignal } = {},
): Promise<readonly WireNode[]> {
  const query = { filters: filtersQuery(filters) };
  return (await client.get<WireNode[] | null>('/nodes', query, options)) ?? [];
}

export async function listServices(
  client: Client,
  filters: Filters = {},
): Promise<readonly WireService[]> {
  const query = { filters: filtersQuery(filters), status: true };
  return (await client.get<WireService[] | null>('/services', query)) ?? [];
}

/** `key=value` of --filter, many times. Throws in Docker's words where there is no value. */
export function parseFilter(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 0) throw new Error(`bad format of filter (expected name=value)`);
  return [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()] as const;
}

export function gatherFilters(pairs: readonly (readonly [string, string])[] = []): Filters {
  const filters: Record<string, string[]> = {};
  for (const [key, value] of pairs) (filters[key] ??= []).push(value);
  return filters;
}
