/** Numbers of linux/netfilter/nf_tables.h and nfnetlink.h that messages are made of. */

const subsystem = 10 << 8;

export const nftTypes = {
  batchBegin: 0x10,
  batchEnd: 0x11,
  addTable: subsystem,
  getTable: subsystem | 1,
  removeTable: subsystem | 2,
  addChain: subsystem | 3,
  getChain: subsystem | 4,
  addRule: subsystem | 6,
  getRule: subsystem | 7,
  addSet: subsystem | 9,
  getSet: subsystem | 10,
  addElements: subsystem | 12,
  getElements: subsystem | 13,
  removeElements: subsystem | 14,
  getGeneration: subsystem | 16,
} as const;
/** What a batch is for, in the headers of its beginning and its end. */
export const nftSubsystem = 10;

export const append = 0x800;

export const families = { unspecified: 0, inet: 1, ip: 2, netdev: 5, ip6: 10 } as const;
export type Family = 'inet' | 'ip' | 'ip6' | 'netdev';

export const tableAttributes = { name: 1 } as const;
export const chainAttributes = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
export const hookAttributes = { number: 1, priority: 2, device: 3 } as const;
export const ruleAttributes = { table: 1, chain: 2, expressions: 4 } as const;
export const expressionAttributes = { name: 1, data: 2 } as const;
export const setAttributes = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  dataType: 6,
  dataLength: 7,
  id: 10,
} as const;
export const elementListAttributes = { table: 1, set: 2, elements: 3 } as const;
export const elementAttributes = { key: 1, data: 2 } as const;
export const dataAttributes = { value: 1, verdict: 2 } as const;
export const verdictAttributes = { code: 1, chain: 2 } as const;
export const generationAttributes = { id: 1 } as const;
/** Of a member of any list. */
export const listElement = 1;

export const setFlags = { map: 8 } as const;
export const verdictType = 0xffffff00;
export const policyAccept = 1;

export const hooks = {
  inet: { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 },
  netdev: { ingress: 0, egress: 1 },
} as const;
export type Hook = keyof typeof hooks.inet | keyof typeof hooks.netdev;

/** How the tool nft shows keys and data; the kernel only stores the number. */
export const dataTypes = {
  ipv4: { number: 7, length: 4 },
  ipv6: { number: 8, length: 16 },
  mac: { number: 9, length: 6 },
  protocol: { number: 12, length: 1 },
  port: { number: 13, length: 2 },
  /** A number in the machine's own order. */
  number: { number: 19, length: 4 },
} as const;
export type DataType = keyof typeof dataTypes;
