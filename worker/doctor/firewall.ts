/**
 * Whether rules of this host keep other nodes away: firewalls that let in what is established, and
 * SSH, and end in a policy or a rule that drops the rest.
 */
import { finding, type Finding } from './finding.ts';
import { closedChains, type Rule, type Ruleset } from './rules.ts';

/** What other nodes must be able to send here. */
export interface NeededPort {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** What does not work without it. */
  readonly need: string;
}

export interface Needed {
  /** Of the addresses by which nodes know each other. */
  readonly family: 'ip' | 'ip6';
  readonly ports: readonly NeededPort[];
}

/** What an accepting rule asks of a packet; what is absent does not matter to it. */
interface Accepting {
  readonly protocols?: readonly string[];
  readonly ports?: readonly (readonly [from: number, to: number])[];
  /** Only what belongs to a connection that is there, or comes from the host itself. */
  readonly isNarrow?: boolean;
}

export function judgeInput(ruleset: Ruleset, { family, ports }: Needed): readonly Finding[] {
  return closedChains(ruleset, 'input').flatMap(({ chain, rules }) => {
    if (chain.family !== 'inet' && chain.family !== family) return [];
    const accepting = rules.flatMap(acceptingOf);
    const { family: own, table, name } = chain;
    return missingOf(ports, accepting).map((missing) =>
      complaint(missing, {
        chain: `the chain ${name} of the table ${own} ${table}`,
        command: `nft insert rule ${own} ${table} ${name} ${missing.protocol} dport ${missing.port} accept`,
      }),
    );
  });
}

/** `rules` as \`iptables-legacy -S\` prints them. */
export function judgeLegacyInput(
  program: string,
  rules: string,
  ports: readonly NeededPort[],
): readonly Finding[] {
  const lines = rules.split('\n');
  if (!isClosedLegacy(lines, 'INPUT')) return [];
  const accepting = lines.filter((line) => line.endsWith('-j ACCEPT')).map(acceptingOfLine);
  return missingOf(ports, accepting).map((missing) =>
    complaint(missing, {
      chain: `the chain INPUT of ${program}`,
      command: `${program} -I INPUT -p ${missing.protocol} --dport ${missing.port} -j ACCEPT`,
    }),
  );
}

/** By its policy, or by a rule without conditions. */
export function isClosedLegacy(lines: readonly string[], chain: string): boolean {
  const end = lines.find((line) =>
    new RegExp(`^-A ${chain} -j (ACCEPT|DROP|REJECT)\\b`).test(line),
  );
  if (end !== undefined) return !end.includes(' ACCEPT');
  return lines.includes(`-P ${chain} DROP`);
}

function complaint(
  { protocol, port, need }: NeededPort,
  { chain, command }: { readonly chain: string; readonly command: string },
): Finding {
  const text =
    `${chain} drops what it does not know, and it does not know ${protocol.toUpperCase()} port ` +
    `${port}, so that ${need}: accept it there: ${command}`;
  return finding('firewall', 'error', text);
}

function missingOf(
  ports: readonly NeededPort[],
  accepting: readonly Accepting[],
): readonly NeededPort[] {
  return ports.filter((wanted) => !accepting.some((rule) => mayAccept(rule, wanted)));
}

/** In doubt it does: a rule may be for the addresses of the other nodes. */
function mayAccept(
  { protocols, ports, isNarrow = false }: Accepting,
  { protocol, port }: NeededPort,
): boolean {
  if (isNarrow && ports === undefined) return false;
  if (protocols !== undefined && !protocols.includes(protocol)) return false;
  return ports === undefined || ports.some(([from, to]) => from <= port && port <= to);
}

interface Match {
  readonly left?: {
    readonly payload?: { readonly protocol?: string; readonly field?: string };
    readonly meta?: { readonly key?: string };
    readonly ct?: { readonly key?: string };
  };
  readonly right?: unknown;
}

/** Nothing for rules that accept nothing. */
function acceptingOf({ expr = [] }: Rule): readonly Accepting[] {
  if (!JSON.stringify(expr).includes('"accept"')) return [];
  let found: Accepting = {};
  for (const part of expr as readonly Readonly<Record<string, unknown>>[]) {
    const vmap = part['vmap'] as { readonly key?: Match['left']; readonly data?: unknown } | null;
    const match = part['match'] as Match | null | undefined;
    const xt = part['xt'] as { readonly name?: string } | null | undefined;
    if (match != null) found = { ...found, ...asked(match) };
    else if (vmap != null) found = { ...found, ...asked({ ...keyOf(vmap), right: vmap.data }) };
    else if (xt?.name === 'conntrack' || xt?.name === 'state') found = { ...found, isNarrow: true };
  }
  return [found];
}

function keyOf({ key }: { readonly key?: Match['left'] }): Match {
  return key === undefined ? {} : { left: key };
}

/** What one condition tells; nothing where it is about something else, such as addresses. */
function asked({ left, right }: Match): Accepting {
  const { payload, meta, ct } = left ?? {};
  if (payload?.field === 'dport') {
    const { protocol = 'th' } = payload;
    const ports = rangesOf(right);
    return {
      ...(protocol === 'th' ? {} : { protocols: [protocol] }),
      ...(ports === undefined ? {} : { ports }),
    };
  }
  if (payload?.protocol?.startsWith('icmp') === true) return { protocols: ['icmp'] };
  const isProtocol =
    meta?.key === 'l4proto' || payload?.field === 'protocol' || payload?.field === 'nexthdr';
  if (isProtocol) return { protocols: [...flat(right)].map(String) };
  if (ct?.key === 'state') return flat(right).includes('new') ? {} : { isNarrow: true };
  if (meta?.key === 'iifname' || meta?.key === 'iif') {
    return flat(right).includes('lo') ? { isNarrow: true } : {};
  }
  return {};
}

/** Members of a set, keys of a map that lead to an accept, or the one value itself. */
function flat(right: unknown): readonly unknown[] {
  const set = (right as { readonly set?: unknown } | null)?.set ?? right;
  if (!Array.isArray(set)) return [set];
  return set.flatMap((member: unknown) => {
    if (!Array.isArray(member)) return [member];
    return JSON.stringify(member[1]).includes('accept') ? [member[0]] : [];
  });
}

/** Undefined for what is not written here, such as a set with a name. */
function rangesOf(right: unknown): readonly (readonly [number, number])[] | undefined {
  const ranges: (readonly [number, number])[] = [];
  for (const member of flat(right)) {
    const range = (member as { readonly range?: readonly unknown[] } | null)?.range;
    const [from, to] = range === undefined ? [member, member] : range;
    if (typeof from !== 'number' || typeof to !== 'number') return undefined;
    ranges.push([from, to]);
  }
  return ranges;
}

function acceptingOfLine(line: string): Accepting {
  const value = (...flags: readonly string[]) =>
    flags.map((flag) => line.split(` ${flag} `)[1]?.split(' ')[0]).find(Boolean);
  const [protocol, ports] = [value('-p'), value('--dport', '--dports')];
  const state = value('--ctstate', '--state');
  const isNarrow = value('-i') === 'lo' || (state !== undefined && !state.includes('NEW'));
  return {
    isNarrow,
    ...(protocol === undefined ? {} : { protocols: [protocol] }),
    ...(ports === undefined ? {} : { ports: ports.split(',').map(rangeOf) }),
  };
}

function rangeOf(text: string): readonly [number, number] {
  const [from = '', to = from] = text.split(':');
  return [Number(from), Number(to)];
}
