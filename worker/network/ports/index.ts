/**
 * Owns ports of this host that lead to containers, be they tasks' (`--publish mode=host`) or
 * people's (`run -p`): who has which, the socket held on each, the rules of netfilter, and their
 * audit. May import lib and the network folder's part, netlink, nft, sctp, settings, and the mesh's
 * carriers of IPv6. Read host-ports.ts first; publisher.ts is one kind of containers (task-ports.ts
 * the tasks'), hold.ts a port's socket, ruleset.ts the tables, rules.ts keeps them.
 */
export type { PublishedPort } from './hold.ts';
export { HostPorts, type OwnedPort } from './host-ports.ts';
export type { Conflict, PortPublisher, PortRequest, PublisherOptions } from './publisher.ts';
export type { PortLead } from './ruleset.ts';
export { PortRules } from './rules.ts';
export { TaskPorts, taskPortOptions } from './task-ports.ts';
