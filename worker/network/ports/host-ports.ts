/** All ports of this host that lead to containers: whose they are, and that they lead there. */
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import type { NetworkPart, Repair } from '../part.ts';
import { offersIpv6 } from '../settings.ts';
import { PortPublisher, type PublisherOptions } from './publisher.ts';
import type { PortLead, WayOut } from './ruleset.ts';
import type { PortRules } from './rules.ts';

interface HostPortsDeps {
  readonly rules: Pick<PortRules, keyof PortRules>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hasIpv6?: boolean;
}

export interface OwnedPort {
  readonly protocol: PortLead['protocol'];
  readonly port: number;
  /** The container's id. */
  readonly owner: string;
}

export class HostPorts implements NetworkPart {
  readonly #deps: HostPortsDeps;
  readonly #publishers: PortPublisher[] = [];
  /** Those of which it is not known yet what a former daemon has published for them. */
  readonly #unknown = new Set<PortPublisher>();

  constructor(deps: HostPortsDeps) {
    this.#deps = deps;
  }

  /** One for each kind of containers; all of them before the start. */
  publisher(options: PublisherOptions): PortPublisher {
    const { clock, log, rules, hasIpv6 = offersIpv6() } = this.#deps;
    const publisher: PortPublisher = new PortPublisher(options, {
      clock,
      log,
      hasIpv6,
      change: (gone, come) => rules.change(gone, come),
      adopted: (leads) => {
        this.#unknown.delete(publisher);
        // Until all is known, what a former daemon has left leads on.
        if (this.#unknown.size > 0) rules.change([], leads);
        else rules.replace(this.#publishers.flatMap((one) => one.leads()));
      },
      ownerOf: (protocol, port) => this.#ownerOf(protocol, port),
    });
    this.#publishers.push(publisher);
    this.#unknown.add(publisher);
    return publisher;
  }

  /** Of the thread's namespace. */
  start(wayOut: WayOut): void {
    this.#deps.rules.open(wayOut);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const publisher of this.#publishers) await publisher[Symbol.asyncDispose]();
    this.#deps.rules[Symbol.dispose]();
  }

  /** Each port once, on however many addresses of the host. */
  owners(): readonly OwnedPort[] {
    const found = new Map<string, OwnedPort>();
    for (const { owner, port } of this.#owned()) {
      const { protocol, hostPort } = port;
      found.set(`${owner} ${protocol} ${hostPort}`, { protocol, port: hostPort, owner });
    }
    return [...found.values()];
  }

  audit(): Promise<readonly Repair[]> {
    return Promise.resolve(this.#unknown.size > 0 ? [] : this.#deps.rules.check());
  }

  attached(): Promise<void> {
    return Promise.resolve();
  }

  detached(): Promise<void> {
    return Promise.resolve();
  }

  changed(): Promise<void> {
    return Promise.resolve();
  }

  /** For a host that leaves for good. */
  clear(): void {
    this.#deps.rules.clear();
  }

  #ownerOf(protocol: string, hostPort: number): string | undefined {
    return this.#owned().find(
      ({ port }) => port.protocol === protocol && port.hostPort === hostPort,
    )?.owner;
  }

  #owned() {
    return Iterator.from(this.#publishers).flatMap((publisher) => publisher.owners());
  }
}
