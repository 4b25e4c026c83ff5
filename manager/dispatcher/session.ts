import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  ClusterNewsSchema,
  LogSubscriptionSchema,
  ManagerMessageSchema,
  Measurements,
  MeasureRequestSchema,
  NodeMessage,
  StatusBatch,
} from '../../gen/dispatcher_pb.js';
import type { Clock, Timer } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { MessageStream } from '../../lib/grpc/index.ts';
import type { NetworkObjectType, NodeDescription, TaskStatus } from '../../types/index.ts';
import type { AssignmentSet, NodeAssignments } from './assignments.ts';
import type { NetworkSession } from './network-desk.ts';
import { readDescription, readTaskStatus } from './wire.ts';

export type Outgoing = MessageInitShape<typeof ManagerMessageSchema>;
export type News = MessageInitShape<typeof ClusterNewsSchema>;
export type MeasureRequest = MessageInitShape<typeof MeasureRequestSchema>;
export type Subscription = MessageInitShape<typeof LogSubscriptionSchema>;

/** What a session needs of the dispatcher. */
export interface SessionHost {
  readonly after: Clock['after'];
  readonly nowMs: Clock['nowMs'];
  /** Anything came from the node. */
  heard(session: Session): void;
  /** The node leaves the swarm. */
  left(session: Session): void;
  /** The node's daemon ends, and maybe its host. */
  away(session: Session, hostEnds: boolean): void;
  /** The period that the node is to keep from now on: it is told so. */
  tellPeriodMs(session: Session): number;
  describe(nodeId: string, description: NodeDescription): void;
  /** Resolves once the statuses are durable. */
  report(nodeId: string, statuses: ReadonlyMap<string, TaskStatus>): Promise<void>;
  news(nodeId: string): News;
  /** The node has looked at itself, as it was asked. */
  findings(nodeId: string, id: string, findings: Uint8Array): void;
  /** The node has measured tasks, as it was asked. */
  measured(session: Session, measurements: Measurements): void;
  /** The node has let go of a cluster volume, as it was told. */
  released(nodeId: string, volumeId: string, publication: string): void;
  /** The node has taken in what it was told. */
  taken(session: Session): void;
}

/** Changes that come within this time of the first travel together. */
const batchMs = 2;
/** Sets of assignments that the node may have in hand before it gets more. */
const unappliedMax = 8;
const subscriptionsMax = 256;
const examinationsMax = 16;
const tunnelsMax = 256;
const statusesMax = 10_000;

/**
 * One node's stream, as the manager holds it. What is to be said is kept as state (what is dirty,
 * the last heartbeat to answer), not as a queue of messages: a slow stream costs no memory.
 */
export class Session implements NetworkSession {
  readonly id: string;
  readonly nodeId: string;
  /** When the certificate that the node has shown ends, milliseconds since the epoch. */
  readonly notAfterMs: number;
  readonly #host: SessionHost;
  readonly #stream: MessageStream<NodeMessage, Outgoing>;
  readonly #assignments: NodeAssignments;
  readonly #subscriptions: Subscription[] = [];
  readonly #examinations: string[] = [];
  readonly #tunnels: string[] = [];
  #measuring: MeasureRequest | undefined;
  readonly #ended = Promise.withResolvers<never>();
  #over = false;
  #due = false;
  #timer: Timer | undefined;
  #revision = 0n;
  #applied = 0n;
  #newsDue = false;
  #heartbeat: { sequence: bigint; periodMs: number } | undefined;
  /** A batch of statuses is on its way to the disk. */
  #isReporting = false;
  #accepted: bigint | undefined;
  #wake: (() => void) | undefined;

  constructor(
    names: Pick<Session, 'id' | 'nodeId' | 'notAfterMs'>,
    stream: MessageStream<NodeMessage, Outgoing>,
    assignments: NodeAssignments,
    host: SessionHost,
  ) {
    this.id = names.id;
    this.nodeId = names.nodeId;
    this.notAfterMs = names.notAfterMs;
    this.#stream = stream;
    this.#assignments = assignments;
    this.#host = host;
  }

  /** Lives until the stream ends, or the session is ended; throws what it ended with. */
  async run(incoming: AsyncIterable<NodeMessage>): Promise<void> {
    try {
      await Promise.race([this.#listen(incoming), this.#speak(), this.#ended.promise]);
    } finally {
      this.#over = true;
      this.#timer?.cancel();
      this.#wake?.();
    }
  }

  /** The node is told the reason. */
  end(reason: SwarmError): void {
    this.#over = true;
    this.#ended.reject(reason);
    // `run` throws the reason; where it has ended already nobody is left to be told.
    this.#ended.promise.catch(() => this.#wake?.());
  }

  markTask(taskId: string): void {
    this.#assignments.mark(taskId);
    this.#soon();
  }

  markNetworkObject(type: NetworkObjectType, id: string): void {
    this.#assignments.networks.mark(type, id);
    this.#soon();
  }

  markVolume(volumeId: string): void {
    this.#assignments.volumes.mark(volumeId);
    this.#soon();
  }

  markNetworkMembers(networkId?: string): void {
    this.#assignments.networks.markMembers(networkId);
    this.#soon();
  }

  get takenVersion(): number {
    return this.#assignments.takenVersion;
  }

  /** Assignments are sent once it is their turn. */
  #soon(): void {
    this.#timer ??= this.#host.after(batchMs, () => {
      this.#timer = undefined;
      this.#due = true;
      this.#wake?.();
    });
  }

  markNews(): void {
    this.#newsDue = true;
    this.#wake?.();
  }

  /** False where too many requests wait already. */
  subscribe(subscription: Subscription): boolean {
    if (this.#subscriptions.length >= subscriptionsMax) return false;
    this.#subscriptions.push(subscription);
    this.#wake?.();
    return true;
  }

  /** False where too many requests wait already. */
  examine(id: string): boolean {
    if (this.#examinations.length >= examinationsMax) return false;
    this.#examinations.push(id);
    this.#wake?.();
    return true;
  }

  /** False where too many requests wait already. */
  openTunnel(id: string): boolean {
    if (this.#tunnels.length >= tunnelsMax) return false;
    this.#tunnels.push(id);
    this.#wake?.();
    return true;
  }

  /** Takes the place of a request that has not been sent yet. */
  measure(request: MeasureRequest): void {
    this.#measuring = request;
    this.#wake?.();
  }

  async #listen(incoming: AsyncIterable<NodeMessage>): Promise<void> {
    for await (const { message } of incoming) {
      if (this.#over) return;
      this.#host.heard(this);
      switch (message.case) {
        case 'heartbeat':
          this.#heartbeat = {
            sequence: message.value.sequence,
            periodMs: this.#host.tellPeriodMs(this),
          };
          this.#wake?.();
          break;
        case 'statuses':
          this.#take(message.value);
          break;
        case 'description':
          this.#host.describe(this.nodeId, readDescription(message.value));
          break;
        case 'applied':
          this.#applied = message.value.revision;
          this.#assignments.acknowledged(this.#applied);
          this.#host.taken(this);
          this.#wake?.();
          break;
        case 'goodbye':
          this.#host.left(this);
          break;
        case 'away':
          this.#host.away(this, message.value.hostEnds);
          this.end(new SwarmError('cancelled', 'the daemon of the node ends'));
          break;
        case 'findings':
          this.#host.findings(this.nodeId, message.value.id, message.value.findings);
          break;
        case 'measurements':
          this.#host.measured(this, message.value);
          break;
        case 'released':
          this.#host.released(this.nodeId, message.value.volumeId, message.value.publication);
          break;
        case 'hello':
          throw new SwarmError('invalid-argument', 'the node said Hello twice in one session');
        default:
          // A newer node may say more than this manager knows of.
          break;
      }
    }
  }

  /**
   * Does not wait for the disk: heartbeats behind the batch are to be heard. The node sends the
   * next batch only when this one is acknowledged: what waits here is bounded.
   */
  #take(batch: StatusBatch): void {
    if (this.#isReporting) {
      throw new SwarmError(
        'invalid-argument',
        'the node sent statuses before the last ones were acknowledged',
      );
    }
    if (batch.updates.length > statusesMax) {
      throw new SwarmError(
        'invalid-argument',
        `the node sent over ${statusesMax} statuses at once`,
      );
    }
    const statuses = new Map<string, TaskStatus>();
    for (const { taskId, status } of batch.updates) {
      statuses.set(taskId, readTaskStatus(status));
    }
    this.#isReporting = true;
    this.#host.report(this.nodeId, statuses).then(
      () => {
        this.#isReporting = false;
        this.#accepted = batch.sequence;
        this.#wake?.();
      },
      (error: unknown) => this.end(SwarmError.from(error)),
    );
  }

  async #speak(): Promise<void> {
    const value = {
      sessionId: this.id,
      heartbeatPeriodMs: this.#host.tellPeriodMs(this),
      news: this.#host.news(this.nodeId),
    };
    await this.#send({ case: 'welcome', value });
    await this.#sendAssignments(this.#assignments.complete());
    this.#due ||= this.#assignments.dirty;
    while (!this.#over) {
      const next = this.#next();
      if (next === undefined) await this.#woken();
      else await next;
    }
  }

  /** The most urgent thing to say, being said; nothing where all has been said. */
  #next(): Promise<void> | undefined {
    if (this.#heartbeat !== undefined) {
      const value = this.#heartbeat;
      this.#heartbeat = undefined;
      return this.#send({ case: 'heartbeat', value: { ...value, nowMs: this.#host.nowMs() } });
    }
    if (this.#accepted !== undefined) {
      const sequence = this.#accepted;
      this.#accepted = undefined;
      return this.#send({ case: 'accepted', value: { sequence } });
    }
    if (this.#newsDue) {
      this.#newsDue = false;
      return this.#send({ case: 'news', value: this.#host.news(this.nodeId) });
    }
    const subscription = this.#subscriptions.shift();
    if (subscription !== undefined) return this.#send({ case: 'logs', value: subscription });
    const examination = this.#examinations.shift();
    if (examination !== undefined)
      return this.#send({ case: 'examine', value: { id: examination } });
    const tunnel = this.#tunnels.shift();
    if (tunnel !== undefined) return this.#send({ case: 'tunnel', value: { id: tunnel } });
    if (this.#measuring !== undefined) {
      const value = this.#measuring;
      this.#measuring = undefined;
      return this.#send({ case: 'measure', value });
    }
    if (this.#due && this.#revision - this.#applied < unappliedMax) {
      const set = this.#assignments.incremental();
      this.#due = this.#assignments.dirty;
      if (set.changes.length > 0) return this.#sendAssignments(set);
    }
    return undefined;
  }

  async #sendAssignments(set: AssignmentSet): Promise<void> {
    const appliesTo = this.#revision;
    this.#revision += 1n;
    this.#assignments.sent(this.#revision);
    const value = {
      kind: set.kind,
      appliesTo,
      resultsIn: this.#revision,
      changes: [...set.changes],
    };
    await this.#send({ case: 'assignments', value });
  }

  #send(message: NonNullable<Outgoing['message']>): Promise<void> {
    return this.#stream.send({ message });
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
