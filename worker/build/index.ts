/**
 * Owns building images: contexts, Dockerfiles, buildah and its cache. May import lib, and the
 * images of this node. Read builder.ts first; dockerfile.ts, request.ts and output.ts are
 * pure; remote.ts fetches contexts, cache.ts prunes,
 * cache-usage.ts counts, and kit/ is for clients of BuildKit.
 */
export { Builder, type BuildCall, type BuildNetworks } from './builder.ts';
export { SentInput, type BuildInput } from './input.ts';
export {
  BuildSessions,
  SessionInput,
  TraceBuffer,
  traceReport,
  wordsOf,
  type TraceUpdate,
} from './kit/index.ts';
export { textReport } from './report.ts';
export type { CacheUse } from './cache-usage.ts';
export type { BuildRequest, Ulimit } from './request.ts';
