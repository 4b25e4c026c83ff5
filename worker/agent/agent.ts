import type { Duplex } from 'node:stream';
import type { ClusterNews } from '../../gen/dispatcher_pb.js';
import { linkAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { NodeIdentity } from '../../lib/identity/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Finding, Node, NodeDescription } from '../../types/index.ts';
import type { TaskExecutor } from '../executor/executor.ts';
import { ManagerList, type KnownManager } from './manager-list.ts';
import { NewsFile, type ClusterState, type NewsKeeper } from './news-file.ts';
import { Session, type ClockComparison, type MeasureTasks } from './session.ts';

export interface AgentParts {
  readonly identity: NodeIdentity;
  /** Where the last news of the swarm are kept: a folder, or what keeps them in place of a file. */
  readonly folder: string | NewsKeeper;
  /** Addresses to begin with; later the swarm says where its managers are. */
  readonly managers: readonly string[];
  readonly executor: TaskExecutor;
  readonly describe: () => NodeDescription | Promise<NodeDescription>;
  /** Looks at this node, when a manager asks; absent: nobody can. */
  readonly examine?: () => Promise<readonly Finding[]>;
  /** Says what tasks use, when a manager asks; absent: nobody can. */
  readonly measure?: MeasureTasks;
  /** Serves a manager that reaches for this node; absent: nobody does. */
  readonly serveTunnel?: (socket: Duplex) => void;
  /** Called when the managers say something new: of this node, of the managers, of the root. */
  readonly onNews?: (news: ClusterState) => void;
  /** The node is no longer in the swarm; the agent has stopped, the tasks have not. */
  readonly onRemoved?: (reason: SwarmError) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const retryMinMs = 100;
const retryMaxMs = 2_000;
/** The first attempts give up soon: after a short break of the link a new one gets through. */
const welcomeTimeoutMinMs = 700;
const welcomeTimeoutMaxMs = 5_000;
/** After a manager that does not lead, the one that does is asked soon. */
const redirectedMaxMs = 300;
/** A session that lived for this long was a good one: what follows is no repeated failure. */
const goodSessionMs = 1_000;
const goodbyeMs = 1_000;
const settlingMs = 5_000;
const pollMs = 10;

/**
 * Keeps this node in touch with the managers. While none can be reached the tasks run on: they are
 * the executor's.
 */
export class Agent implements AsyncDisposable {
  readonly #parts: AgentParts;
  readonly #list: ManagerList;
  readonly #file: NewsKeeper;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #state: ClusterState | undefined;
  #connectedTo: string | undefined;
  /** Ends the present attempt, or the pause after it. */
  #hurry: (() => void) | undefined;
  /** A manager was found while an attempt or a pause went on. */
  #isFound = false;
  #current: Session | undefined;
  #leaves = false;
  #lastError: SwarmError | undefined;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#list = new ManagerList(parts.managers);
    const { folder } = parts;
    this.#file = typeof folder === 'string' ? new NewsFile(folder) : folder;
  }

  /** Resolves before a manager was reached: the node works with what it knows. */
  async start(): Promise<void> {
    const state = await this.#file.read();
    if (state !== undefined) {
      this.#state = state;
      this.#list.learn(state.managers);
    }
    this.#running = this.#run();
  }

  /** Ends the session. The tasks run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new SwarmError('cancelled', 'the agent is stopped'));
    await this.#running;
    await this.#writing;
  }

  /**
   * Tells the managers that this node leaves the swarm, so that they need not find out. Without a
   * session, or an answer, it is given up after a second; there is no further session.
   */
  async leave(): Promise<void> {
    const { clock } = this.#parts;
    const deadlineMs = clock.monotonicMs() + goodbyeMs;
    while (this.#current === undefined && clock.monotonicMs() < deadlineMs) {
      await clock.sleep(pollMs);
    }
    await this.#part((session) => session.goodbye(), deadlineMs);
  }

  /**
   * Tells the managers, where there is a session, that this daemon ends. Where the tasks run on it
   * means to be back: they wait for it a little, and replace nothing. With `hostEnds` the tasks end
   * too, and are replaced at once. Given up after a second.
   */
  async away({ hostEnds }: { readonly hostEnds: boolean }): Promise<void> {
    const deadlineMs = this.#parts.clock.monotonicMs() + goodbyeMs;
    await this.#part((session) => session.away(hostEnds), deadlineMs);
  }

  /** There is no further session; resolves once the manager has heard it, or at the deadline. */
  async #part(say: (session: Session) => void, deadlineMs: number): Promise<void> {
    const { clock } = this.#parts;
    this.#leaves = true;
    if (this.#current !== undefined) say(this.#current);
    while (this.#current !== undefined && clock.monotonicMs() < deadlineMs) {
      await clock.sleep(pollMs);
    }
  }

  /**
   * Resolves once the managers know this node for ready and by its name, so that what is asked of
   * the swarm next finds it. It goes on in the background where that takes longer than 5 s.
   */
  async settled(): Promise<void> {
    const { clock, log } = this.#parts;
    const deadlineMs = clock.monotonicMs() + settlingMs;
    while (!this.#isSettled) {
      if (this.#stop.signal.aborted) return;
      if (clock.monotonicMs() >= deadlineMs) {
        log.warn('the managers do not know this node for ready yet');
        return;
      }
      await clock.sleep(pollMs);
    }
  }

  /** What `describe` says has changed: the managers are told now. */
  redescribe(): void {
    this.#current?.redescribe();
  }

  /** A manager was found there: it is tried now, unless there is a session. */
  found(nodeId: string, addr: string): void {
    if (!this.#list.found(nodeId, addr) || this.#connectedTo !== undefined) return;
    this.#parts.log.info('a manager was found', { nodeId, addr });
    this.#isFound = true;
    this.#hurry?.();
  }

  /** Addresses where managers may be, should no other answer. */
  suggest(addrs: readonly string[]): void {
    this.#list.suggest(addrs);
  }

  /** Where managers are, as far as this node knows. */
  get managers(): readonly KnownManager[] {
    return this.#list.all();
  }

  /** This node, as the managers last said. */
  get node(): Node | undefined {
    return this.#state?.node;
  }

  get #isSettled(): boolean {
    const { node } = this;
    return node?.status.state === 'ready' && node.description !== undefined;
  }

  /** The manager that the node has a session with. */
  get connectedTo(): string | undefined {
    return this.#connectedTo;
  }

  /** Asks for a place on a network. Throws `unavailable` where there is no session. */
  async attach(request: Parameters<Session['attach']>[0]): ReturnType<Session['attach']> {
    if (this.#current !== undefined) return this.#current.attach(request);
    throw new SwarmError('unavailable', 'this node has no session with a manager; try again');
  }

  /** How this host's clock differs from that manager's; undefined while nothing is known. */
  get clocks(): ClockComparison | undefined {
    return this.#current?.clocks;
  }

  /** Why there is no session; nothing where there is one. */
  get lastError(): SwarmError | undefined {
    return this.#lastError;
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#parts;
    const signal = this.#stop.signal;
    let failures = 0;
    let briefSessions = 0;
    let sessionId = '';
    while (!signal.aborted) {
      const addr = this.#list.pick(random) ?? '';
      const startMs = clock.monotonicMs();
      const { error, welcomed } = await this.#session(addr, sessionId, failures);
      sessionId = welcomed ?? sessionId;
      if (signal.aborted || this.#leaves) return;
      this.#lastError = error;
      if (error.details['reason'] === 'node-removed') {
        log.error('this node is no longer in the swarm', { error: error.message });
        this.#parts.onRemoved?.(error);
        return;
      }
      const redirected = this.#redirected(error);
      const good = welcomed !== undefined && clock.monotonicMs() - startMs >= goodSessionMs;
      briefSessions = good ? 0 : briefSessions + (welcomed === undefined ? 0 : 1);
      // A manager that took the node in ends the search; only if that leads nowhere again and again
      // does the pause grow.
      // Nor does what failed before say anything of one that was found meanwhile.
      if (good || this.#isFound) failures = 1;
      else failures = welcomed === undefined ? failures + 1 : briefSessions;
      if (welcomed === undefined && !redirected && !this.#isFound) this.#list.failed(addr);
      const maxMs = redirected ? redirectedMaxMs : retryMaxMs;
      // Every manager is tried once before the pause grows.
      const rounds = Math.floor((failures - 1) / this.#list.all().length);
      const growingMs = Math.min(maxMs, retryMinMs * 2 ** rounds);
      const delayMs = growingMs * (0.5 + random.float() / 2);
      log.warn('no session with a manager', { addr, error: error.message, retryMs: delayMs });
      this.#isFound = false;
      await this.#pause(delayMs);
    }
  }

  /** One attempt, and the session that it may lead to. Returns what it ended with. */
  async #session(
    addr: string,
    previousId: string,
    failures: number,
  ): Promise<{ readonly error: SwarmError; readonly welcomed?: string }> {
    const { identity, executor, describe, examine, measure, serveTunnel, clock, log } = this.#parts;
    if (addr === '') {
      return { error: new SwarmError('failed-precondition', 'this node knows of no manager') };
    }
    using connection = identity.connect(addr);
    using life = linkAbort(this.#stop.signal);
    this.#hurry = () => life.abort(new SwarmError('unavailable', 'a manager was found elsewhere'));
    let welcomed: string | undefined;
    try {
      const session = new Session(
        {
          connection,
          executor,
          describe,
          ...(examine === undefined ? {} : { examine }),
          ...(measure === undefined ? {} : { measure }),
          ...(serveTunnel === undefined ? {} : { serveTunnel }),
          clock,
          log,
          onNews: (news) => this.#learn(news),
          onWelcome: (sessionId) => {
            welcomed = sessionId;
            this.#hurry = undefined;
            this.#connectedTo = addr;
            this.#current = session;
            this.#lastError = undefined;
            this.#list.succeeded(addr);
            log.info('session begins', { addr, sessionId });
          },
        },
        life.signal,
      );
      const welcomeTimeoutMs = Math.min(
        welcomeTimeoutMaxMs,
        welcomeTimeoutMinMs * 2 ** Math.max(0, failures - 1),
      );
      return await session.run({ previousId, welcomeTimeoutMs });
    } catch (thrown) {
      const error = SwarmError.from(thrown);
      return welcomed === undefined ? { error } : { error, welcomed };
    } finally {
      this.#hurry = undefined;
      this.#connectedTo = undefined;
      this.#current = undefined;
    }
  }

  /** A manager that does not lead names those that it knows. */
  #redirected({ details }: SwarmError): boolean {
    if (details['reason'] !== 'not-leader') return false;
    const { managers } = details;
    if (Array.isArray(managers)) this.#list.learn(managers as KnownManager[]);
    return true;
  }

  #learn(news: ClusterNews): void {
    const managers = news.managers.map(({ nodeId, addr, leader }) => ({ nodeId, addr, leader }));
    const node =
      news.node.length === 0 ? undefined : (JSON.parse(Buffer.from(news.node).toString()) as Node);
    const { rootCaPem, issuerPem, renewWithinMs } = news;
    const told = { rootCaPem, issuerPem, renewWithinMs };
    const state = { managers, ...told, ...(node === undefined ? {} : { node }) };
    this.#state = state;
    this.#list.learn(managers);
    this.#writing = this.#writing
      .then(() => this.#file.write(state))
      .catch((error: unknown) =>
        this.#parts.log.error('cannot keep the news of the swarm', {
          error: SwarmError.from(error).message,
        }),
      );
    this.#parts.onNews?.(state);
  }

  async #pause(delayMs: number): Promise<void> {
    using life = linkAbort(this.#stop.signal);
    this.#hurry = () => life.abort();
    try {
      await this.#parts.clock.sleep(delayMs, { signal: life.signal });
    } catch (error) {
      if (!life.signal.aborted) throw error;
    } finally {
      this.#hurry = undefined;
    }
  }
}
