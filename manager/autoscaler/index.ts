/**
 * Owns how many replicas an autoscaled service has: what nodes and Prometheus servers are asked
 * for, and what follows of it. May import lib, types, gen, the store, the dispatcher's port and the
 * orchestrator. Read plan.ts first (pure, as are load.ts and pace.ts), then autoscaler.ts.
 */
export { Autoscaler, type AutoscalerParts } from './autoscaler.ts';
