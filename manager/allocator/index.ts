/**
 * Owns what services, tasks and nodes are given of the cluster's numbers: published ports, subnets,
 * VXLAN ids and addresses. It has no counters of its own: what is taken is read from the view's
 * indexes. Pure; may import the store's view, types and lib. Read attachments.ts first, then
 * address-book.ts and networks.ts; ports.ts stands alone.
 */
export { AddressBook } from './address-book.ts';
export * from './address.ts';
export * from './attachments.ts';
export * from './networks.ts';
export { allocatePorts, type PortAllocation } from './ports.ts';
