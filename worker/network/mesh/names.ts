/** What the routing mesh's devices, tables, addresses and marks are, the same on every node. */
import type { TableName } from '../nft/index.ts';

export const meshTable: TableName = { family: 'inet', name: 'ts_swarm_mesh' };
/** Of a backend's interface; tables of this family belong to devices. */
export const egressTable: TableName = { family: 'netdev', name: 'ts_swarm_mesh' };

/** A wire between the host and the mesh's network on this node. */
export const hostLink = 'ts-swarm-mesh';
export const innerLink = 'up0';

/**
 * Addresses of the wire's ends. Packets carry them only between two translations on one node: no
 * other host and no container ever sees them.
 */
export const wire = {
  ip: { host: '169.254.250.1', inner: '169.254.250.2', prefix: 30 },
  ip6: { host: 'fd54:5357:524d::1', inner: 'fd54:5357:524d::2', prefix: 126 },
} as const;

/**
 * In a backend's container a connection's mark says which node it came by: these eight bits, and
 * the last three bytes of that node's MAC. Nothing needs to be kept for a node, and connections
 * outlive every change of nodes.
 */
export const nodeMark = { bits: 0x54000000, mask: 0xff000000 } as const;

/** The routing table of replies, and when the rules that choose tables have their turn. */
export const replyTable = 200;
export const rulePriorities = { reply: 10, local: 100 } as const;

/** The next hop of replies: its MAC is filled in as the frame leaves, from the mark. */
export const nextHop = { ip: '169.254.250.9', ip6: 'fe80::54' } as const;

/** Of a container's loopback: what a program that has no IPv6 sees of clients of IPv6. */
export const relayedFrom = '169.254.250.10';
