/**
 * What the kernel must be able to do, tried in a namespace that ends at once: a list of modules
 * says nothing about a kernel that has them built in, or forbids them to a container.
 */
import { closeSync, openSync } from 'node:fs';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { inScratchNamespace } from '../network/namespace.ts';
import { Netlink } from '../network/netlink.ts';
import { addBridge, addVeth, addVxlan } from '../network/netlink/links.ts';
import type { Request } from '../network/netlink/wire.ts';
import {
  addTable,
  be32,
  constant,
  ct,
  destinationType,
  equals,
  isFamily,
  isLocal,
  isProtocol,
  masquerade,
  NetfilterSocket,
  packet,
  priorities,
  random,
  reject,
  setCtMark,
  setMark,
  translate,
  type BaseChain,
  type Rule,
} from '../network/nft/index.ts';
import { hasSctpSockets, tracksSctp } from '../network/sctp.ts';
import { finding, type Finding } from './finding.ts';

interface Feature {
  readonly name: string;
  /** What does not work without it. */
  readonly need: string;
  /** The option of the kernel's configuration. */
  readonly option: string;
  readonly try: () => void;
}

const hooks = {
  output: { type: 'nat', at: 'output', priority: priorities.destinationNat },
  prerouting: { type: 'nat', at: 'prerouting', priority: priorities.destinationNat },
  postrouting: { type: 'nat', at: 'postrouting', priority: priorities.sourceNat },
  filter: { type: 'filter', at: 'output', priority: priorities.filter },
  route: { type: 'route', at: 'output', priority: priorities.mangle },
  egress: { type: 'filter', at: 'egress', priority: 0, device: 'probe' },
} as const satisfies Record<string, BaseChain>;

const someAddress = constant(Buffer.from([127, 0, 0, 1]));
const someMark = constant(be32(1));

/** In the order in which they are said; each is tried by itself. */
const features: readonly Feature[] = [
  {
    name: 'bridges',
    need: 'containers cannot be connected to each other',
    option: 'CONFIG_BRIDGE',
    try: () => link(addBridge('probe')),
  },
  {
    name: 'veth pairs',
    need: 'containers have no network at all',
    option: 'CONFIG_VETH',
    try: () => link(addVeth({ name: 'probe' }, { name: 'probe-peer' }, 1500)),
  },
  {
    name: 'VXLAN',
    need: 'overlay networks do not work',
    option: 'CONFIG_VXLAN',
    try: tryVxlan,
  },
  nft(
    'address translation',
    'virtual addresses and the routing mesh do not work',
    'CONFIG_NFT_NAT',
    {
      base: hooks.output,
      rule: [isFamily.ip, isProtocol('tcp'), translate('dnat', 'ip', someAddress)],
    },
  ),
  nft('random numbers in nftables', 'virtual addresses do not work', 'CONFIG_NFT_NUMGEN', {
    base: hooks.output,
    rule: [isFamily.ip, equals(random(2), be32(0))],
  }),
  nft('masquerading', 'containers cannot reach anything outside', 'CONFIG_NFT_MASQ', {
    base: hooks.postrouting,
    rule: [isFamily.ip, masquerade],
  }),
  nft('routes in nftables', 'published ports do not work', 'CONFIG_NFT_FIB_INET', {
    base: hooks.prerouting,
    rule: [isFamily.ip, equals(destinationType, be32(isLocal))],
  }),
  nft('connection marks', 'the routing mesh does not work', 'CONFIG_NFT_CT', {
    base: hooks.route,
    rule: [setCtMark(someMark), setMark(ct.mark)],
  }),
  nft('refusals', 'clients of a service without tasks wait in vain', 'CONFIG_NFT_REJECT_INET', {
    base: hooks.filter,
    rule: [
      isFamily.ip,
      equals(packet.ipv4Destination, Buffer.from([127, 0, 0, 1])),
      reject('port-unreachable'),
    ],
  }),
  nft('the egress hook', 'the routing mesh does not work', 'CONFIG_NETFILTER_EGRESS', {
    base: hooks.egress,
    rule: [setMark(someMark)],
  }),
];

export function examineKernel(wanted: readonly Feature[] = features): readonly Finding[] {
  const missing = missingOf(wanted).map(({ feature: { name, need, option }, error }) => {
    const text =
      `the kernel does not offer ${name} (${messageOf(error)}), so that ${need}: load the module, ` +
      `or run a kernel with ${option}`;
    return finding('kernel', 'error', text);
  });
  if (missing.length > 0) return missing;
  return [finding('kernel', 'ok', 'the kernel offers all that networks need')];
}

/**
 * Why networks could not be started, where that is the kernel's doing: all that it lacks, in one
 * error of code `failed-precondition`. The error itself where it lacks nothing.
 */
export function explainedByKernel(cause: unknown, wanted: readonly Feature[] = features): unknown {
  const missing = missingOf(wanted).map(({ feature }) => feature);
  if (missing.length === 0) return cause;
  const names = missing.map(({ name }) => name).join(', ');
  const options = missing.map(({ option }) => option).join(', ');
  return new SwarmError(
    'failed-precondition',
    `containers can have no networks here: the kernel does not offer ${names} ` +
      `(${messageOf(cause)}); load the modules, or run a kernel with ${options}`,
    { cause },
  );
}

function missingOf(
  wanted: readonly Feature[],
): readonly { readonly feature: Feature; readonly error: unknown }[] {
  return wanted.flatMap((feature) => {
    const error = inScratchNamespace(() => failureOf(feature.try));
    return error === undefined ? [] : [{ feature, error }];
  });
}

export interface SctpFacts {
  /** Whether connections are followed, and so can be translated. */
  readonly isTracked: boolean;
  /** Whether programs can have sockets of it. */
  readonly hasSockets: boolean;
}

export function sctpFacts(): SctpFacts {
  const isTracked = inScratchNamespace(() => {
    // What follows connections is loaded with the first rule that needs it.
    const base = hooks.output;
    const rule = [isFamily.ip, isProtocol('sctp'), translate('dnat', 'ip', someAddress)];
    const refused = failureOf(nft('', '', '', { base, rule }).try);
    return refused === undefined && tracksSctp() === true;
  });
  return { isTracked, hasSockets: hasSctpSockets() };
}

/** Few need it: a kernel without it is in order until an SCTP port is published. */
export function judgeSctp(
  { isTracked, hasSockets }: SctpFacts,
  published: readonly { readonly protocol: string }[],
): Finding {
  const isWanted = published.some(({ protocol }) => protocol === 'sctp');
  if (!isTracked) {
    const text =
      'the kernel does not track SCTP connections, so that SCTP ports cannot be published on this ' +
      'host: run a kernel with CONFIG_NF_CT_PROTO_SCTP';
    return finding('sctp', isWanted ? 'error' : 'ok', text);
  }
  if (hasSockets) return finding('sctp', 'ok', 'the kernel carries SCTP, and has sockets for it');
  const text =
    'the kernel carries SCTP between other hosts, but programs and containers of this host ' +
    'cannot open SCTP sockets: load the module sctp, or run a kernel with CONFIG_IP_SCTP';
  return finding('sctp', isWanted ? 'warning' : 'ok', text);
}

function failureOf(work: () => void): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

function link(request: Request): void {
  using netlink = new Netlink();
  netlink.run(request);
}

function tryVxlan(): void {
  const netnsFd = openSync('/proc/thread-self/ns/net', 'r');
  try {
    link(addVxlan({ name: 'probe', vni: 1, port: 4789, isIpv6: false, mtu: 1450, netnsFd }));
  } finally {
    closeSync(netnsFd);
  }
}

function nft(
  name: string,
  need: string,
  option: string,
  { base, rule }: { readonly base: BaseChain; readonly rule: Rule },
): Feature {
  const family = base.at === 'egress' ? 'netdev' : 'inet';
  return {
    name,
    need,
    option,
    try: () => {
      if (base.device !== undefined) link(addBridge(base.device));
      using socket = new NetfilterSocket();
      const chains = [{ name: 'probe', base, rules: [rule] }];
      socket.commit(addTable({ family, name: 'probe', sets: [], chains }));
    },
  };
}
