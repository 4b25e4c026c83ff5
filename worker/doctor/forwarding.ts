/**
 * Whether somebody else's rules drop what this host forwards for containers: Docker and firewalls
 * set such policies, and an accept of ours does not undo another's drop.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errnoOf } from '../../lib/errors.ts';
import { finding, type Finding } from './finding.ts';

const run = promisify(execFile);
const timeoutMs = 5_000;
const maxBytes = 64 * 1024 * 1024;

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr?: readonly unknown[];
}

export interface Ruleset {
  readonly nftables: readonly { readonly chain?: Chain; readonly rule?: Rule }[];
}

/** `links`: those by which containers' packets come and go. */
export async function examineForwarding(links: readonly string[]): Promise<readonly Finding[]> {
  let text: string;
  try {
    // Without the elements of sets, of which there may be very many.
    const options = { timeout: timeoutMs, maxBuffer: maxBytes };
    text = (await run('nft', ['-j', '-t', 'list', 'ruleset'], options)).stdout;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return [finding('forwarding', 'error', 'nft is not there: install the package nftables')];
  }
  return judgeForwarding(JSON.parse(text) as Ruleset, links);
}

export function judgeForwarding(
  { nftables }: Ruleset,
  links: readonly string[],
): readonly Finding[] {
  const rules = nftables.flatMap(({ rule }) => rule ?? []);
  const dropping = nftables.flatMap(({ chain }) => {
    if (chain?.hook !== 'forward' || chain.policy !== 'drop') return [];
    const missing = links.filter((link) => !accepts(chain, rules, link));
    return missing.length === 0 ? [] : [{ chain, missing }];
  });
  if (dropping.length === 0) {
    return [finding('forwarding', 'ok', 'what this host forwards for containers is not dropped')];
  }
  return dropping.map(({ chain: { family, table, name }, missing }) => {
    const [link] = missing;
    const text =
      `the chain ${name} of the table ${family} ${table} drops what it does not know, and it does ` +
      `not know ${missing.join(' and ')}: containers have no way out, and published ports lead ` +
      `nowhere; accept it there: nft insert rule ${family} ${table} ${name} iifname ${link} accept` +
      `, and the same with oifname`;
    return finding('forwarding', 'error', text);
  });
}

/** Both ways, in this chain or one that it may jump to. */
function accepts(
  { family, table }: Pick<Chain, 'family' | 'table'>,
  rules: readonly Rule[],
  link: string,
): boolean {
  const own = rules.filter((rule) => rule.family === family && rule.table === table);
  return ['iifname', 'oifname'].every((key) =>
    own.some(({ expr = [] }) => {
      const text = JSON.stringify(expr);
      return text.includes(`"accept"`) && text.includes(`"${key}"`) && text.includes(`"${link}"`);
    }),
  );
}
