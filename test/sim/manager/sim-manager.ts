/** One manager: the real store on the real Raft log, reconciler, dispatcher and control. */
import { create } from '@bufbuild/protobuf';
import { RaftMessageSchema } from '../../../gen/raft_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { Autoscaler } from '../../../manager/autoscaler/index.ts';
import { Control } from '../../../manager/control/index.ts';
import { Dispatcher } from '../../../manager/dispatcher/index.ts';
import { decodeMessage, encodeMessage } from '../../../manager/peers/codec.ts';
import { Reconciler } from '../../../manager/reconcile/index.ts';
import { RaftLog, Store, type Change } from '../../../manager/store/index.ts';
import { MemoryDisk, type CrashMode, type Message } from '../../../raft/index.ts';
import { Violation } from '../violation.ts';
import { honest, type Planted } from './planted.ts';
import { SimProcess } from './process.ts';
import { slowDisk } from './slow-disk.ts';
import type { Swarm } from './swarm.ts';

const snapshotTimeoutMs = 3_000;
const restartMs = 1_000;
const tickMs = 100;
/** Small, so that the log goes through many. */
const segmentBytes = 16 << 10;

/** What lives and dies with the manager's process. */
interface Running {
  readonly process: SimProcess;
  readonly store: Store;
  readonly raft: RaftLog;
  readonly control: Control;
  readonly dispatcher: Dispatcher;
  readonly reconciler: Reconciler;
  readonly autoscaler: Autoscaler;
}

export class SimManager {
  readonly id: string;
  readonly #swarm: Swarm;
  readonly #planted: Planted;
  readonly #skewMs: number;
  #disk = new MemoryDisk();
  #running: Running | undefined;
  /** It has left the swarm, and is not started again. */
  isGone = false;

  constructor(id: string, swarm: Swarm, planted: Planted = honest) {
    this.id = id;
    this.#swarm = swarm;
    this.#planted = planted;
    const { skewMs } = swarm.settings;
    this.#skewMs = Math.round(swarm.dice.between(-skewMs, skewMs));
  }

  get running(): Running | undefined {
    return this.#running;
  }

  get store(): Store | undefined {
    return this.#running?.store;
  }

  get leads(): boolean {
    return this.#running?.store.isLeader ?? false;
  }

  get addr(): string {
    return `${this.id}:2377`;
  }

  start(): void {
    if (this.#running !== undefined || this.isGone) return;
    const { agenda, dice } = this.#swarm;
    const seed = dice.below(2 ** 31);
    const process = new SimProcess(this.id, agenda, { seed, skewMs: this.#skewMs });
    const running = this.#make(process);
    this.#running = running;
    this.#swarm.note(this.id, 'starts');
    this.#open(running).catch((error: unknown) => this.#broken(process, SwarmError.from(error)));
  }

  /** The process ends at once, or the power goes: what was not synced is lost as `mode` says. */
  kill(mode: CrashMode): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#swarm.note(this.id, `is killed: ${mode}`);
    running.process.kill();
    const old = this.#disk;
    this.#disk = old.crash(mode, this.#swarm.dice.float);
    this.#disk.capacityBytes = old.capacityBytes;
    // What the dead process had begun comes to nothing.
    old.operationsLeft = 0;
    this.#running = undefined;
  }

  fillDisk(isFull: boolean): void {
    this.#disk.capacityBytes = isFull ? 0 : Infinity;
  }

  receive(message: Message, snapshotData?: Uint8Array): void {
    const { process, raft } = this.#running ?? {};
    process?.whenAwake(() => raft?.receive(message, snapshotData));
  }

  #make(process: SimProcess): Running {
    const { clock, random } = process;
    const log = this.#swarm.logger(this.id);
    const raft = this.#newLog(process, log);
    const watched = this.#swarm.witness.watch(raft, {
      id: this.id,
      alive: () => process.alive,
      digest: () => store.digest(),
      fail: (violation) => this.#swarm.fail(violation),
      distort: (entry) => this.#planted.entry(this.id, entry, clock),
    });
    const store: Store = new Store(watched);
    const control = new Control({
      store,
      clock,
      random,
      makeJoinToken: () => 'token',
      makeUnlockKey: () => 'key',
      checkDemotion: () => undefined,
    });
    const dispatcher = new Dispatcher({
      store,
      leaderId: () => raft.status?.leader ?? '',
      clock,
      random,
      log,
    });
    const view = this.#planted.view(store);
    const reconciler = new Reconciler({}, { store: view, clock, random, log });
    const autoscaler = new Autoscaler({ store, nodes: dispatcher, clock, log });
    return { process, store, raft, control, dispatcher, reconciler, autoscaler };
  }

  #newLog(process: SimProcess, log: Logger): RaftLog {
    const { settings, dice } = this.#swarm;
    const { clock, random } = process;
    const { syncMs, slow } = settings.disk;
    const syncTimeMs = () =>
      this.#swarm.isCalm || !dice.chance(slow) ? dice.wait(syncMs) : dice.wait(50 * syncMs);
    const disk = slowDisk(this.#disk, () => clock.sleep(syncTimeMs()));
    return new RaftLog(
      {
        id: this.id,
        folder: '/raft',
        bootstrap: this.id === this.#swarm.firstManager,
        tickMs,
        electionTicks: 7,
        heartbeatTicks: 1,
        snapshotEntries: settings.snapshotEntries,
        keepEntries: settings.keepEntries,
        segmentBytes,
      },
      {
        disk: this.#planted.disk(disk),
        transport: {
          send: (message) => this.#send(process, message),
          sendSnapshot: (message, data) => this.#sendSnapshot(process, message, data),
        },
        clock,
        random,
        log,
        onLeader: () => this.#sawTerm(),
        onFailure: (error) => this.#broken(process, error),
      },
    );
  }

  async #open({ process, store, dispatcher, reconciler, autoscaler }: Running): Promise<void> {
    store.onChange((batch) => {
      if (this.#swarm.witness.isFresh && process.alive) {
        this.#swarm.checked(() => this.#swarm.rules.changed(batch, store));
        for (const event of batch.events) {
          if (event.table === 'service') this.#swarm.client.sawService(event.object);
        }
      }
    });
    await store.open();
    reconciler.start();
    autoscaler.start();
    store.onLeadership((leads) => {
      if (!process.alive) return;
      this.#swarm.note(this.id, leads ? 'leads' : 'follows');
      if (!leads) {
        dispatcher.stop();
        return;
      }
      this.#swarm.checked(() => this.#swarm.newLeader(this.id, store));
      dispatcher.start();
      this.#recordLeader(store, process).catch((error: unknown) =>
        this.#swarm.note(this.id, `could not write down who leads: ${String(error)}`),
      );
    });
  }

  /** As the daemon does it: what agents are told of the managers. */
  async #recordLeader(store: Store, { clock }: SimProcess): Promise<void> {
    const changes = [...store.nodes()].flatMap((node): Change[] => {
      const { manager } = node;
      const leader = node.id === this.id;
      if (manager === undefined || manager.leader === leader) return [];
      const object = { ...node, manager: { ...manager, leader } };
      return [{ op: 'put', table: 'node', object, base: node.meta.version }];
    });
    if (changes.length > 0) await store.propose(changes, { atMs: clock.nowMs() });
  }

  #send(process: SimProcess, message: Message): void {
    if (!process.alive) return;
    const { links, dice } = this.#swarm;
    const wire = create(RaftMessageSchema, encodeMessage(message));
    this.#swarm.note(this.id, `> ${message.to} ${message.type} ${message.term}`);
    links.datagram(this.id, message.to, () =>
      this.#swarm.manager(message.to)?.receive(decodeMessage(wire)),
    );
    if (!links.isCut(this.id, message.to) || !dice.chance(0.2)) return;
    process.clock.after(50, () => this.#running?.raft.reportUnreachable(message.to));
  }

  #sendSnapshot(process: SimProcess, message: Message, data: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (!process.alive) return promise;
    const { links } = this.#swarm;
    this.#swarm.note(this.id, `> ${message.to} snapshot of ${data.length} bytes`);
    const wire = create(RaftMessageSchema, encodeMessage(message));
    links.datagram(this.id, message.to, () => {
      this.#swarm.manager(message.to)?.receive(decodeMessage(wire), data);
      links.datagram(message.to, this.id, () => process.whenAwake(resolve));
    });
    process.clock.after(snapshotTimeoutMs, () => reject(new Error('the snapshot got no answer')));
    return promise;
  }

  #sawTerm(): void {
    const status = this.#running?.raft.status;
    if (status?.role !== 'leader') return;
    this.#swarm.checked(() => this.#swarm.witness.leads(this.id, status.term));
  }

  /** A full disk ends the process, and it is tried again; anything else is a bug. */
  #broken(process: SimProcess, error: SwarmError): void {
    if (!process.alive) return;
    this.#swarm.note(this.id, `cannot go on: ${error.message}`);
    if (this.#disk.capacityBytes === Infinity || error.code === 'internal') {
      this.#swarm.fail(new Violation('managers run', `${this.id} ended: ${error.message}`));
      return;
    }
    this.kill('keep');
    this.#swarm.agenda.after(restartMs, () => this.start());
  }
}
