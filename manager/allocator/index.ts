/**
 * Owns what services are given of the cluster's numbers: published ports (later subnets, addresses
 * and VNIs). It has no counters of its own: what is taken is read from the view's indexes. Pure; may
 * import the store's view, types and lib. Read ports.ts first.
 */
export { allocatePorts, firstAutoPort, lastAutoPort, type PortAllocation } from './ports.ts';
