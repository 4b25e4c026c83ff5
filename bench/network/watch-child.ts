/**
 * Sits in the network namespaces of containers and tells when what they find there changes: what
 * their resolver answers, asked over and over, and what netfilter says that it leads VIPs to.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { inNamespace } from '../../worker/network/namespace.ts';
import { internetSocket } from '../../worker/network/syscalls.ts';

export interface WatchConfig {
  /** Of processes in the containers. */
  readonly pids: readonly number[];
  readonly name: string;
  /** The service's; absent: not watched. */
  readonly vip?: string;
}

export interface Seen {
  /** On the machine's monotonic clock. */
  readonly atMs: number;
  readonly pid: number;
  readonly by: 'dns' | 'vip';
  readonly addresses: readonly string[];
}

/** Fine against the figures; the asking itself must not take the machine. */
const askEveryMs = 10;
const resolver = { address: '127.0.0.11', port: 53 };

const monitors: ChildProcess[] = [];
const config = JSON.parse(process.argv[2] ?? '') as WatchConfig;
for (const [index, pid] of config.pids.entries()) {
  // One after the other, or they would all ask in the same moment.
  setTimeout(() => watchNames(pid), (index * askEveryMs) / config.pids.length);
  if (config.vip !== undefined) watchVip(pid, config.vip);
}
process.on('exit', () => monitors.forEach((monitor) => monitor.kill()));
process.on('disconnect', () => process.exit());

function tell(pid: number, by: Seen['by'], addresses: Iterable<string>): void {
  const atMs = Number(process.hrtime.bigint()) / 1e6;
  const seen: Seen = { atMs, pid, by, addresses: [...new Set(addresses)].toSorted() };
  process.send?.(seen);
}

function watchNames(pid: number): void {
  const fd = inNamespace(`/proc/${pid}/ns/net`, () => internetSocket('udp', 4));
  const socket = createSocket({
    type: 'udp4',
    lookup: (address, _, done) => done(null, address, 4),
  });
  let known: string | undefined;
  socket.on('message', (message) => {
    const { answers = [] } = decode(message);
    const found = answers.flatMap((answer) => (answer.type === 'A' ? [answer.data] : []));
    const now = found.toSorted().join();
    if (now !== known) tell(pid, 'dns', found);
    known = now;
  });
  socket.bind({ fd });
  const question = encode({
    type: 'query',
    id: 1,
    flags: RECURSION_DESIRED,
    questions: [{ type: 'A', name: `tasks.${config.name}` }],
  });
  setInterval(() => socket.send(question, resolver.port, resolver.address), askEveryMs);
}

/** Lines such as "add element inet ts_swarm backends4 { 10.0.0.2 . 0x00000000 : 10.0.0.3 }". */
const change = /^(add|delete) element inet ts_swarm backends4 \{ (\S+) \. (\S+) : (\S+) \}/;

function watchVip(pid: number, vip: string): void {
  const inside = [`--net=/proc/${pid}/ns/net`, '--', 'nft'];
  const backends = new Map<number, string>();
  const monitor = spawn('nsenter', [...inside, 'monitor', 'elements'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  monitors.push(monitor);
  createInterface({ input: monitor.stdout }).on('line', (line) => {
    const [, what, of, number, backend] = change.exec(line) ?? [];
    if (of !== vip || number === undefined || backend === undefined) return;
    if (what === 'add') backends.set(Number(number), backend);
    else if (backends.get(Number(number)) === backend) backends.delete(Number(number));
    tell(pid, 'vip', backends.values());
  });
  // What was there before the monitor was; it is told as the first that was seen.
  const list = spawn('nsenter', [...inside, '-j', 'list', 'map', 'inet', 'ts_swarm', 'backends4'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  list.stdout.on('data', (part: Buffer) => (text += part.toString()));
  list.on('close', () => {
    for (const [key, backend] of elements(text)) {
      const [of, number] = key.concat;
      if (of === vip) backends.set(Number(number), backend);
    }
    tell(pid, 'vip', backends.values());
  });
}

type Element = readonly [{ readonly concat: readonly [string, number | string] }, string];

function elements(text: string): readonly Element[] {
  interface Ruleset {
    readonly nftables: readonly { readonly map?: { readonly elem?: readonly Element[] } }[];
  }
  return (JSON.parse(text) as Ruleset).nftables.flatMap(({ map }) => map?.elem ?? []);
}
