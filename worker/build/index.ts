/**
 * Owns building images: contexts, Dockerfiles, buildah and its cache. May import lib, and the
 * images of this node. Read builder.ts first; dockerfile.ts, request.ts and output.ts are
 * pure; remote.ts fetches contexts, cache.ts prunes,
 * and cache-usage.ts counts.
 */
export { Builder, type BuildCall, type BuildNetworks } from './builder.ts';
export type { CacheUse } from './cache-usage.ts';
export type { BuildRequest, Ulimit } from './request.ts';
