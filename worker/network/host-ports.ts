/**
 * Host-mode ports: nft maps from a port of this host to a container. The whole of a batch goes to
 * the kernel in one transaction of one spawned nft.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { SwarmError } from '../../lib/errors.ts';

const table = 'ts_swarm';
const protocols = ['tcp', 'udp', 'sctp'] as const;
const nftTimeoutMs = 10_000;
const maxErrorBytes = 4096;

export interface PortMapping {
  readonly protocol: (typeof protocols)[number];
  readonly hostPort: number;
  readonly address: string;
  readonly containerPort: number;
}

export class HostPorts {
  readonly #bridge: string;
  readonly #subnet: string;
  #pending: { commands: string[]; done: Promise<void> } | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(options: { bridge: string; subnet: string }) {
    this.#bridge = options.bridge;
    this.#subnet = options.subnet;
  }

  /** Makes the table anew with just these mappings, in one transaction. */
  async replace(mappings: Iterable<PortMapping>): Promise<void> {
    await this.#run([
      `table ip ${table}`,
      `delete table ip ${table}`,
      this.#ruleset(),
      ...[...mappings].map((mapping) => `add ${element(mapping)}`),
    ]);
  }

  async add(mappings: readonly PortMapping[]): Promise<void> {
    if (mappings.length > 0) await this.#run(mappings.map((mapping) => `add ${element(mapping)}`));
  }

  async remove(mappings: readonly PortMapping[]): Promise<void> {
    if (mappings.length === 0) return;
    await this.#run(mappings.map((mapping) => `delete ${element(mapping)}`));
  }

  async clear(): Promise<void> {
    await this.#run([`table ip ${table}`, `delete table ip ${table}`]);
  }

  #ruleset(): string {
    const maps = protocols.map(
      (protocol) => `map ${protocol}_ports { type inet_service : ipv4_addr . inet_service; }`,
    );
    const translate = protocols.map(
      (protocol) =>
        `fib daddr type local dnat ip addr . port to ${protocol} dport map @${protocol}_ports`,
    );
    return `table ip ${table} {
${maps.join('\n')}
chain prerouting { type nat hook prerouting priority dstnat; policy accept;
${translate.join('\n')}
}
chain output { type nat hook output priority -100; policy accept;
${translate.join('\n')}
}
chain postrouting { type nat hook postrouting priority srcnat; policy accept;
ip saddr ${this.#subnet} oifname != "${this.#bridge}" masquerade
ip saddr ${this.#subnet} oifname "${this.#bridge}" ct status dnat masquerade
ip saddr 127.0.0.0/8 oifname "${this.#bridge}" masquerade
}
}`;
  }

  /** Commands of one turn of the event loop share a spawn, and batches never overlap. */
  #run(commands: readonly string[]): Promise<void> {
    if (this.#pending === undefined) {
      const batch: string[] = [];
      const previous = this.#last;
      const done = (async () => {
        await previous;
        this.#pending = undefined;
        await runNft(batch.join('\n'));
      })();
      this.#pending = { commands: batch, done };
      // A failed batch is its own callers' error; the next batch only waits for its end.
      this.#last = done.then(
        () => {},
        () => {},
      );
    }
    this.#pending.commands.push(...commands);
    return this.#pending.done;
  }
}

function element(mapping: PortMapping): string {
  const { protocol, hostPort, address, containerPort } = mapping;
  const value = `${address} . ${containerPort}`;
  return `element ip ${table} ${protocol}_ports { ${hostPort} : ${value} }`;
}

async function runNft(script: string): Promise<void> {
  const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), nftTimeoutMs);
  let errors = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => {
    errors = (errors + chunk).slice(0, maxErrorBytes);
  });
  try {
    const exit = once(child, 'close') as Promise<[number | null]>;
    child.stdin.on('error', (error) => {
      errors ||= error.message;
    });
    child.stdin.end(`${script}\n`);
    const [code] = await exit;
    if (code !== 0) {
      const reason = errors.split('\n')[0] ?? '';
      throw new SwarmError('internal', `nft refused the port rules: ${reason || 'timed out'}`);
    }
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    throw new SwarmError(
      'failed-precondition',
      'cannot run nft: install the package nftables on this host',
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}
