/**
 * Whether somebody else's rules drop what this host forwards for containers, or what other nodes
 * send to it: Docker and firewalls do so, and an accept of ours does not undo another's drop.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errnoOf } from '../../lib/errors.ts';
import { finding, type Finding } from './finding.ts';
import { isClosedLegacy, judgeInput, judgeLegacyInput, type Needed } from './firewall.ts';
import { closedChains, type Chain, type Rule, type Ruleset } from './rules.ts';

const run = promisify(execFile);
const timeoutMs = 5_000;
const maxBytes = 64 * 1024 * 1024;

/** Links by which containers' packets come and go, by the family of the packets. */
export interface ForwardingLinks {
  readonly ip: readonly string[];
  readonly ip6: readonly string[];
}

export async function examineRules(
  links: ForwardingLinks,
  needed: Needed,
): Promise<readonly Finding[]> {
  const found = [...(await examineNft(links, needed)), ...(await examineLegacy(links, needed))];
  const isWell = (name: string) => found.every(({ check }) => check !== name);
  const [forwards, lets] = [
    finding('forwarding', 'ok', 'what this host forwards for containers is not dropped'),
    finding('firewall', 'ok', 'no rule of this host keeps away what other nodes send'),
  ];
  return [
    ...found,
    ...(isWell('forwarding') ? [forwards] : []),
    ...(isWell('firewall') && needed.ports.length > 0 ? [lets] : []),
  ];
}

/** Rules of the older kind, which nft does not show; asking for them must not make them. */
async function examineLegacy(links: ForwardingLinks, needed: Needed): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const [family, program, names] of [
    ['ip', 'iptables-legacy', '/proc/net/ip_tables_names'],
    ['ip6', 'ip6tables-legacy', '/proc/net/ip6_tables_names'],
  ] as const) {
    if (!(await hasFilter(names))) continue;
    try {
      const { stdout } = await run(program, ['-S'], { timeout: timeoutMs, maxBuffer: maxBytes });
      found.push(...judgeLegacy(program, stdout, links[family]));
      if (family === needed.family) found.push(...judgeLegacyInput(program, stdout, needed.ports));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      const text = `this host has rules that only ${program} shows, and it is not there: install it`;
      found.push(finding('forwarding', 'warning', text));
    }
  }
  return found;
}

async function hasFilter(names: string): Promise<boolean> {
  try {
    return (await readFile(names, 'latin1')).split('\n').includes('filter');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** `rules` as \`iptables-legacy -S\` prints them. */
export function judgeLegacy(
  program: string,
  rules: string,
  links: readonly string[],
): readonly Finding[] {
  const lines = rules.split('\n');
  if (!isClosedLegacy(lines, 'FORWARD')) return [];
  const accepting = lines.filter((line) => line.endsWith('-j ACCEPT')).map((line) => `${line} `);
  const missing = links.filter(
    (link) =>
      !['-i', '-o'].every((way) => accepting.some((line) => line.includes(` ${way} ${link} `))),
  );
  const [link] = missing;
  if (link === undefined) return [];
  const text =
    `the chain FORWARD of ${program} drops what it does not know, and it does not know ` +
    `${missing.join(' and ')}: ${consequence}; accept it there: ${program} -I FORWARD -i ${link} -j ` +
    `ACCEPT, and the same with -o`;
  return [finding('forwarding', 'error', text)];
}

const consequence = 'containers have no way out, and published ports lead nowhere';

async function examineNft(links: ForwardingLinks, needed: Needed): Promise<readonly Finding[]> {
  let text: string;
  try {
    // Without the elements of sets, of which there may be very many.
    const options = { timeout: timeoutMs, maxBuffer: maxBytes };
    text = (await run('nft', ['-j', '-t', 'list', 'ruleset'], options)).stdout;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return [finding('forwarding', 'error', 'nft is not there: install the package nftables')];
  }
  const ruleset = JSON.parse(text) as Ruleset;
  return [...judgeForwarding(ruleset, links), ...judgeInput(ruleset, needed)];
}

export function judgeForwarding(ruleset: Ruleset, links: ForwardingLinks): readonly Finding[] {
  const dropping = closedChains(ruleset, 'forward').flatMap(({ chain, rules }) => {
    const wanted = chain.family === 'ip6' ? links.ip6 : links.ip;
    const missing = wanted.filter((link) => !accepts(chain, rules, link));
    return missing.length === 0 ? [] : [{ chain, missing }];
  });
  return dropping.map(({ chain: { family, table, name }, missing }) => {
    const [link] = missing;
    const text =
      `the chain ${name} of the table ${family} ${table} drops what it does not know, and it does ` +
      `not know ${missing.join(' and ')}: ${consequence}; accept it there: nft insert rule ${family} ${table} ${name} iifname ${link} accept` +
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
