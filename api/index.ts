/**
 * Owns the Docker Engine API over HTTP. May import lib, types, and the ports of manager and worker;
 * convert/ is pure. Read backend.ts for what it stands on, then server.ts; a resource's routes are
 * in routes/, and its JSON in convert/.
 */
export * from './backend.ts';
export {
  createApiServer,
  type ApiListener,
  type ApiModules,
  type ApiServer,
  type ListenOptions,
} from './server.ts';
