/** What nft is told of ports of standalone containers: a table for each address family. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { SwarmError } from '../../lib/errors.ts';
import type { BoundPort } from './view.ts';

const table = 'ts_swarm_standalone';
const protocols = ['tcp', 'udp', 'sctp'] as const;
const nftTimeoutMs = 10_000;
const maxErrorBytes = 4096;

interface Family {
  /** Of nft's tables and expressions. */
  readonly name: 'ip' | 'ip6';
  readonly addressType: 'ipv4_addr' | 'ipv6_addr';
  readonly anywhere: '0.0.0.0' | '::';
  /** The host itself. */
  readonly loopback: string;
}

const ipv4: Family = {
  name: 'ip',
  addressType: 'ipv4_addr',
  anywhere: '0.0.0.0',
  loopback: '127.0.0.0/8',
};
const ipv6: Family = { name: 'ip6', addressType: 'ipv6_addr', anywhere: '::', loopback: '::1' };

function familyOf(address: string): Family {
  return address.includes(':') ? ipv6 : ipv4;
}

/** What stands for any address of the host, for a container at this address. */
export function anywhereFor(address: string): string {
  return familyOf(address).anywhere;
}

/** The tables anew and empty, of IPv6 where the kernel has it. */
export function emptyTables(hasIpv6: boolean): string {
  return (hasIpv6 ? [ipv4, ipv6] : [ipv4])
    .flatMap((family) => {
      const name = `table ${family.name} ${table}`;
      return [name, `delete ${name}`, ruleset(family)];
    })
    .join('\n');
}

function ruleset({ name, addressType, loopback }: Family): string {
  return `table ${name} ${table} {
${protocols
  .map(
    (protocol) => `map ${protocol}_any { type inet_service : ${addressType} . inet_service; }
map ${protocol}_at { type ${addressType} . inet_service : ${addressType} . inet_service; }`,
  )
  .join('\n')}
chain translate {
${protocols
  .map(
    (protocol) => `dnat ${name} addr . port to ${name} daddr . ${protocol} dport map @${protocol}_at
fib daddr type local dnat ${name} addr . port to ${protocol} dport map @${protocol}_any`,
  )
  .join('\n')}
}
chain raw { type filter hook prerouting priority raw; policy accept;
iifname != "lo" ${name} daddr ${loopback} drop
}
chain prerouting { type nat hook prerouting priority dstnat; policy accept;
jump translate
}
chain output { type nat hook output priority -100; policy accept;
${name === 'ip6' ? `ip6 daddr ${loopback} return` : ''}
jump translate
}
chain postrouting { type nat hook postrouting priority srcnat; policy accept;
${name} saddr ${loopback} ct status dnat masquerade
}
}`;
}

/** By which the port leads to the container at the address: of the same family as the host's. */
export function element(
  { protocol, hostIp, hostPort, containerPort }: Required<BoundPort>,
  address: string,
): string {
  const { name, anywhere } = familyOf(address);
  const value = `${address} . ${containerPort}`;
  return hostIp === anywhere
    ? `element ${name} ${table} ${protocol}_any { ${hostPort} : ${value} }`
    : `element ${name} ${table} ${protocol}_at { ${hostIp} . ${hostPort} : ${value} }`;
}

export async function runNft(script: string): Promise<void> {
  const child = spawn('nft', ['-f', '-'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    timeout: nftTimeoutMs,
  });
  let errors = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => {
    errors = (errors + chunk).slice(0, maxErrorBytes);
  });
  child.stdin.on('error', (error) => {
    errors ||= error.message;
  });
  let code: number | null;
  try {
    const exit = once(child, 'close') as Promise<[number | null]>;
    child.stdin.end(`${script}\n`);
    [code] = await exit;
  } catch (cause) {
    throw new SwarmError(
      'failed-precondition',
      'cannot run nft: install the package nftables on this host',
      { cause },
    );
  }
  if (code === 0) return;
  const reason = errors.split('\n')[0] ?? '';
  throw new SwarmError('internal', `nft refused the port rules: ${reason || 'timed out'}`);
}
