/** Finds managers that no known address leads to, and lets other nodes find this one. */
import { lookup } from 'node:dns/promises';
import { Group as GroupService } from '../gen/raft_pb.js';
import type { Clock } from '../lib/clock.ts';
import { Responder, Seeker, localUdp } from '../lib/discovery/index.ts';
import { messageOf } from '../lib/errors.ts';
import { formatAddr, parseAddr } from '../lib/grpc/index.ts';
import type { NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { Agent } from '../worker/agent/index.ts';
import type { Manager } from './manager.ts';
import type { Membership } from './membership.ts';

interface ManagerFinderParts {
  readonly membership: Membership;
  readonly identity: NodeIdentity;
  readonly agent: Agent;
  readonly manager: Manager | undefined;
  /** Given by hand: "host:port", where a host may have several addresses. */
  readonly managerAddrs: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const probeTimeoutMs = 2_000;

export class ManagerFinder implements AsyncDisposable {
  readonly #parts: ManagerFinderParts;
  readonly #running = new AsyncDisposableStack();

  constructor(parts: ManagerFinderParts) {
    this.#parts = parts;
  }

  /** A node that has a session needs nobody: its agent is what is watched, on managers as well. */
  async start(): Promise<void> {
    const { membership, identity, agent, manager, clock, random } = this.#parts;
    const { port } = parseAddr(membership.listenAddr);
    const log = this.#parts.log.child({ module: 'discovery' });
    const common = { identity, udp: localUdp, clock, log };
    if (manager !== undefined) {
      const responder = new Responder({
        ...common,
        port,
        addr: () => membership.advertiseAddr,
        isRemoved: (id) => manager.isRemoved(id),
      });
      await this.#running.use(responder).start();
    }
    const seeker = new Seeker({
      ...common,
      random,
      isLost: () => agent.connectedTo === undefined,
      ports: () => [port, ...agent.managers.map(({ addr }) => parseAddr(addr).port)],
      lookElsewhere: (options) => this.#askByHand(options),
      onFound: ({ nodeId, addr }) => this.#found(nodeId, addr),
    });
    this.#running.use(seeker).start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.disposeAsync();
  }

  #found(nodeId: string, addr: string): void {
    this.#parts.manager?.isAt(nodeId, addr);
    this.#parts.agent.found(nodeId, addr);
  }

  /** A manager learns who is there; a worker asks there for a session. */
  async #askByHand({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { agent, manager, managerAddrs, membership } = this.#parts;
    const all = await Promise.all(managerAddrs.map((addr) => this.#resolved(addr)));
    const addrs = all.flat().filter((addr) => addr !== membership.advertiseAddr);
    agent.suggest(addrs);
    if (manager !== undefined) await Promise.all(addrs.map((addr) => this.#probe(addr, signal)));
  }

  async #resolved(addr: string): Promise<readonly string[]> {
    const { host, port } = parseAddr(addr);
    try {
      const found = await lookup(host, { all: true });
      return found.map(({ address }) => formatAddr(address, port));
    } catch (error) {
      this.#parts.log.debug('cannot look up --manager-addr', { addr, error: messageOf(error) });
      return [];
    }
  }

  async #probe(addr: string, signal: AbortSignal): Promise<void> {
    const { identity, log } = this.#parts;
    using connection = identity.connect(addr);
    try {
      const group = connection.client(GroupService);
      const { nodeId } = await group.probe({}, { timeoutMs: probeTimeoutMs, signal });
      if (nodeId !== identity.nodeId) this.#found(nodeId, addr);
    } catch (error) {
      log.debug('no manager answers at --manager-addr', { addr, error: messageOf(error) });
    }
  }
}
