import type { Duplex } from 'node:stream';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  Assignments_Kind,
  Attachments,
  Dispatcher,
  type Assignments,
  type AttachReply,
  type AttachRequestSchema,
  type ClusterNews,
  type HeartbeatReply,
  type ManagerMessage,
  type MeasurementsSchema,
  type MeasureRequest,
  type NodeMessageSchema,
} from '../../gen/dispatcher_pb.js';
import type { Clock, Timer } from '../../lib/clock.ts';
import { linkAbort } from '../../lib/abort.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { CallStream, Connection } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import { finding, list, type Finding, type NodeDescription } from '../../types/index.ts';
import type { TaskExecutor } from '../executor/executor.ts';
import { readAssignments } from './assignments.ts';
import { LogPublisher } from './log-publisher.ts';
import { Reporter } from './reporter.ts';
import { TunnelEnd } from './tunnel-end.ts';

interface SessionParts {
  readonly connection: Connection;
  readonly executor: TaskExecutor;
  readonly describe: () => NodeDescription | Promise<NodeDescription>;
  /** Looks at this node; absent: nobody can. */
  readonly examine?: () => Promise<readonly Finding[]>;
  readonly measure?: MeasureTasks;
  /** Serves a manager that reaches for this node; absent: nobody does. */
  readonly serveTunnel?: (socket: Duplex) => void;
  readonly onNews: (news: ClusterNews) => void;
  /** The manager has taken the node in. */
  readonly onWelcome: (sessionId: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Says what tasks use. It does not throw: what cannot be measured is left out. */
export type MeasureTasks = (
  request: MeasureRequest,
) => Promise<MessageInitShape<typeof MeasurementsSchema>>;

/** This host's clock beside that of the manager. */
export interface ClockComparison {
  readonly aheadMs: number;
  /** The difference is known to half of this. */
  readonly roundTripMs: number;
}

type Outgoing = NonNullable<MessageInitShape<typeof NodeMessageSchema>['message']>;
type Stream = CallStream<ManagerMessage, MessageInitShape<typeof NodeMessageSchema>>;

const findingList = list(finding);
const describeEveryMs = 20_000;
/** Longer than an election. */
const attachTimeoutMs = 20_000;
/** A manager silent for this many periods is not waited for: another connection is tried. */
const silentPeriodsMax = 2.5;

/** One session with a manager, from Hello until it breaks: `run` always throws, with the reason. */
export class Session {
  readonly #parts: SessionParts;
  readonly #life: AbortController & Disposable;
  readonly #stream: Stream;
  readonly #cleanup = new DisposableStack();
  readonly #broken = Promise.withResolvers<never>();
  #periodMs = 0;
  #heardMs = 0;
  #sequence = 0n;
  #beatSentMs = 0;
  #clocks: ClockComparison | undefined;
  #revision = 0n;
  #described = '';
  #applying: Promise<void> = Promise.resolve();
  #reporter: Reporter | undefined;
  #beatTimer: Timer | undefined;
  #describeTimer: Timer | undefined;

  constructor(parts: SessionParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#life = linkAbort(signal);
    const { connection } = parts;
    this.#stream = connection.client(Dispatcher).session({ signal: this.#life.signal });
  }

  async run({
    previousId,
    welcomeTimeoutMs,
  }: {
    readonly previousId: string;
    readonly welcomeTimeoutMs: number;
  }): Promise<never> {
    const { clock, connection } = this.#parts;
    const late = clock.after(welcomeTimeoutMs, () =>
      this.#break(
        new SwarmError('unavailable', `the manager at ${connection.addr} does not answer`),
      ),
    );
    this.#cleanup.defer(() => late.cancel());
    try {
      const description = Buffer.from(await this.#description());
      this.#say({ case: 'hello', value: { description, previousSessionId: previousId } });
      return await Promise.race([this.#listen(() => late.cancel()), this.#broken.promise]);
    } finally {
      this.#cleanup.dispose();
      this.#life.abort(new SwarmError('cancelled', 'the session is over'));
      this.#life[Symbol.dispose]();
      await this.#applied();
    }
  }

  /** Asks for a place on a network for a container of this node. */
  attach(request: MessageInitShape<typeof AttachRequestSchema>): Promise<AttachReply> {
    const options = { signal: this.#life.signal, timeoutMs: attachTimeoutMs };
    return this.#parts.connection.client(Attachments).attach(request, options);
  }

  /** Tells the manager that this node leaves the swarm; it then ends the session. */
  goodbye(): void {
    this.#say({ case: 'goodbye', value: {} });
  }

  /** Tells the manager that this daemon ends, or its whole host; it then ends the session. */
  away(hostEnds: boolean): void {
    this.#say({ case: 'away', value: { hostEnds } });
  }

  async #listen(onWelcome: () => void): Promise<never> {
    for await (const { message } of this.#stream.incoming) {
      this.#heardMs = this.#parts.clock.monotonicMs();
      switch (message.case) {
        case 'welcome':
          onWelcome();
          this.#parts.onWelcome(message.value.sessionId);
          this.#periodMs = message.value.heartbeatPeriodMs;
          this.#begin();
          if (message.value.news !== undefined) this.#parts.onNews(message.value.news);
          break;
        case 'heartbeat':
          this.#periodMs = message.value.periodMs;
          this.#compareClocks(message.value);
          break;
        case 'assignments':
          this.#assign(message.value);
          break;
        case 'accepted':
          this.#reporter?.accepted(message.value.sequence);
          break;
        case 'news':
          this.#parts.onNews(message.value);
          break;
        case 'examine':
          void this.#examine(message.value.id);
          break;
        case 'measure':
          void this.#measure(message.value);
          break;
        case 'logs':
          this.#logs.take(message.value);
          break;
        case 'tunnel':
          void this.#tunnels?.take(message.value.id);
          break;
        default:
          // A newer manager may say more than this node knows of.
          break;
      }
    }
    throw new SwarmError('unavailable', `the manager at ${this.#parts.connection.addr} hung up`);
  }

  get #logs(): LogPublisher {
    const { connection, executor, clock, log } = this.#parts;
    this.#publisher ??= new LogPublisher({
      connection,
      executor,
      clock,
      log,
      signal: this.#life.signal,
    });
    return this.#publisher;
  }
  #publisher: LogPublisher | undefined;

  get #tunnels(): TunnelEnd | undefined {
    const { connection, serveTunnel: serve, log } = this.#parts;
    if (serve === undefined) return undefined;
    const { signal } = this.#life;
    return (this.#tunnelEnd ??= new TunnelEnd({ connection, serve, log, signal }));
  }
  #tunnelEnd: TunnelEnd | undefined;

  #begin(): void {
    const { executor, clock } = this.#parts;
    this.#reporter = this.#cleanup.use(
      new Reporter(executor, clock, (value) => this.#say({ case: 'statuses', value })),
    );
    const released = executor.onReleased?.((volumeId, publication) =>
      this.#say({ case: 'released', value: { volumeId, publication } }),
    );
    if (released !== undefined) this.#cleanup.use(released);
    this.#cleanup.defer(() => {
      this.#beatTimer?.cancel();
      this.#describeTimer?.cancel();
    });
    this.#beat(clock.monotonicMs());
    this.#redescribeLater();
  }

  /** Beats, and looks whether the manager answers. */
  #beat(dueMs: number): void {
    const { clock, connection } = this.#parts;
    if (this.#life.signal.aborted) return;
    const nowMs = clock.monotonicMs();
    // Where this process itself stood still, what the manager said may not have been read yet.
    this.#heardMs += Math.max(0, nowMs - dueMs);
    if (nowMs - this.#heardMs > silentPeriodsMax * this.#periodMs) {
      this.#break(
        new SwarmError('unavailable', `the manager at ${connection.addr} is silent`, {
          details: { silentMs: nowMs - this.#heardMs },
        }),
      );
      return;
    }
    this.#sequence += 1n;
    this.#beatSentMs = nowMs;
    this.#say({ case: 'heartbeat', value: { sequence: this.#sequence } });
    this.#beatTimer = clock.after(this.#periodMs, () => this.#beat(nowMs + this.#periodMs));
  }

  /** How the clocks differ; undefined before the first answer to a heartbeat. */
  get clocks(): ClockComparison | undefined {
    return this.#clocks;
  }

  /** The manager looked at its clock in the middle of the way there and back, more or less. */
  #compareClocks({ sequence, nowMs }: HeartbeatReply): void {
    // One that is answered late says little, and an older manager says nothing.
    if (sequence !== this.#sequence || nowMs === 0) return;
    const { clock } = this.#parts;
    const roundTripMs = clock.monotonicMs() - this.#beatSentMs;
    this.#clocks = { aheadMs: clock.nowMs() - roundTripMs / 2 - nowMs, roundTripMs };
  }

  /** What could not be looked at is a finding too. */
  async #examine(id: string): Promise<void> {
    const { examine = async () => [] } = this.#parts;
    let findings: readonly Finding[];
    try {
      findings = await examine();
    } catch (error) {
      findings = [{ check: 'doctor', level: 'error', text: SwarmError.from(error).message }];
    }
    const document = findingList.encode([...findings]);
    this.#say({ case: 'findings', value: { id, findings: Buffer.from(JSON.stringify(document)) } });
  }

  /** One at a time: a node that is slow to measure is asked again anyway. */
  async #measure(request: MeasureRequest): Promise<void> {
    const { measure } = this.#parts;
    if (measure === undefined || this.#isMeasuring) return;
    this.#isMeasuring = true;
    try {
      this.#say({ case: 'measurements', value: await measure(request) });
    } finally {
      this.#isMeasuring = false;
    }
  }
  #isMeasuring = false;

  /** Says what the node is, if that has changed since it was last said, and looks again in time. */
  redescribe(): void {
    this.#describeTimer?.cancel();
    const before = this.#described;
    this.#description().then(
      (description) => {
        if (this.#life.signal.aborted) return;
        if (description !== before) {
          this.#say({ case: 'description', value: Buffer.from(description) });
        }
        this.#redescribeLater();
      },
      (error: unknown) => this.#break(SwarmError.from(error)),
    );
  }

  #redescribeLater(): void {
    this.#describeTimer?.cancel();
    this.#describeTimer = this.#parts.clock.after(describeEveryMs, () => this.redescribe());
  }

  async #description(): Promise<string> {
    this.#described = JSON.stringify(await this.#parts.describe());
    return this.#described;
  }

  /** Sets are applied in their order; heartbeats are heard meanwhile. */
  #assign(set: Assignments): void {
    const complete = set.kind === Assignments_Kind.COMPLETE;
    if (!complete && set.appliesTo !== this.#revision) {
      throw new SwarmError(
        'aborted',
        `assignments ${set.resultsIn} apply to ${set.appliesTo}, and this node has ` +
          `${this.#revision}: asking for all of them`,
      );
    }
    this.#revision = set.resultsIn;
    const assignments = readAssignments(set);
    this.#applying = this.#applying
      .then(() => this.#parts.executor.assign(assignments))
      .then(() => this.#say({ case: 'applied', value: { revision: set.resultsIn } }));
    this.#applying.catch((error: unknown) => this.#break(SwarmError.from(error)));
  }

  /** The next session may not begin to assign before this one has ended to. */
  async #applied(): Promise<void> {
    try {
      await this.#applying;
    } catch (error) {
      this.#parts.log.warn('cannot take assignments', { error: SwarmError.from(error).message });
    }
  }

  /** What the stream has no room for waits in it; the manager reads without waiting for a disk. */
  #say(message: Outgoing): void {
    if (this.#life.signal.aborted) return;
    this.#stream.send({ message }).catch((error: unknown) => this.#break(SwarmError.from(error)));
  }

  #break(reason: SwarmError): void {
    this.#broken.reject(reason);
    // `run` throws it; where it has ended already nobody is left to be told.
    this.#broken.promise.catch(() => this.#life.abort(reason));
  }
}
