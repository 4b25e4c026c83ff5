/** Rules of netfilter as `nft -j` prints them, and what can be said of them without a packet. */

export interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

export interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr?: readonly unknown[];
}

export interface Ruleset {
  readonly nftables: readonly { readonly chain?: Chain; readonly rule?: Rule }[];
}

/** A chain that lets nothing pass but what its rules name. */
interface ClosedChain {
  readonly chain: Chain;
  /** Of its table: it may jump to any of them. */
  readonly rules: readonly Rule[];
}

/** One thing that a rule says, as far as the one key of it tells. */
type Part = Readonly<Record<string, unknown>>;

/**
 * The hook's chains that drop or reject what they do not know: by their policy, or by a rule
 * without conditions, as those of firewalld and of iptables-services end.
 */
export function closedChains({ nftables }: Ruleset, hook: string): readonly ClosedChain[] {
  const all = nftables.flatMap(({ rule }) => rule ?? []);
  return nftables.flatMap(({ chain }) => {
    if (chain?.hook !== hook) return [];
    const rules = all.filter(({ family, table }) => {
      return family === chain.family && table === chain.table;
    });
    const fate = fateIn(chain.name, rules, new Set());
    const isClosed = fate === 'closed' || (fate === 'through' && chain.policy === 'drop');
    return isClosed ? [{ chain, rules }] : [];
  });
}

type Fate = 'open' | 'closed' | 'through';

/** Of a packet that no condition of any rule is true of. */
function fateIn(name: string, rules: readonly Rule[], seen: Set<string>): Fate {
  if (seen.has(name)) return 'through';
  seen.add(name);
  for (const { chain, expr = [] } of rules) {
    if (chain !== name) continue;
    const end = unconditional(expr as readonly Part[]);
    if (end === undefined) continue;
    if (end === 'open' || end === 'closed') return end;
    if (end === 'return') return 'through';
    const fate = fateIn(end.target, rules, seen);
    if (fate !== 'through' || end.isGoto) return fate;
  }
  return 'through';
}

type End = 'open' | 'closed' | 'return' | { readonly target: string; readonly isGoto: boolean };

const watching = new Set(['LOG', 'NFLOG']);

/** Undefined for a rule that depends on the packet, or that only counts and logs. */
function unconditional(expr: readonly Part[]): End | undefined {
  let end: End | undefined;
  for (const part of expr) {
    const xt = part['xt'] as { readonly type?: string; readonly name?: string } | null | undefined;
    if ('counter' in part || 'log' in part) continue;
    if (xt?.type === 'target' && watching.has(xt.name ?? '')) continue;
    const isRejected = xt?.type === 'target' && xt.name === 'REJECT';
    if ('drop' in part || 'reject' in part || isRejected) end = 'closed';
    else if ('accept' in part) end = 'open';
    else if ('return' in part) end = 'return';
    else if ('jump' in part) end = { target: targetOf(part['jump']), isGoto: false };
    else if ('goto' in part) end = { target: targetOf(part['goto']), isGoto: true };
    else return undefined;
  }
  return end;
}

function targetOf(way: unknown): string {
  return (way as { readonly target?: string } | null)?.target ?? '';
}
