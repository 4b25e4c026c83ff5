/**
 * Owns talking to registries: endpoints, trust, authentication, retries, resumed downloads.
 * May import lib, the image's pure files (reference, oci) and types. Read client.ts first.
 */
export { RegistryClient, type RegistryOptions } from './client.ts';
export type { SearchResult } from './service.ts';
export type { Destination } from './destination.ts';
export type { FetchedManifest, Repository } from './repository.ts';
