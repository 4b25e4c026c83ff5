/**
 * A whole swarm in virtual time: managers, hosts, a user and faults. The same seed gives the same
 * run. First all is set up, then the faults come, then they stop and all must be as it was asked.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Logger, LogFields } from '../../../lib/log.ts';
import { newIngressNetwork } from '../../../manager/allocator/index.ts';
import type { Change, Store } from '../../../manager/store/index.ts';
import type { Cluster, Node } from '../../../types/index.ts';
import { Agenda } from '../agenda.ts';
import { Dice } from '../dice.ts';
import { Violation } from '../violation.ts';
import { Client } from './client.ts';
import { Faults } from './faults.ts';
import { Links } from './links.ts';
import { Membership } from './membership.ts';
import { honest, type Planted } from './planted.ts';
import { Rules } from './rules.ts';
import type { Settings } from './settings.ts';
import { SimHost } from './sim-host.ts';
import { SimManager } from './sim-manager.ts';
import { Trace } from './trace.ts';
import { whatIsWrong } from './well.ts';
import { Witness } from './witness.ts';

const setUpBoundMs = 30_000;
/** Within this time after the faults all must be well, and stay so for a while. */
const healBoundMs = 300_000;
const steadyMs = 3_000;

export interface Result {
  readonly entries: number;
  readonly elections: number;
  readonly acknowledged: number;
  readonly commands: { readonly sent: number; readonly done: number; readonly refused: number };
  readonly checks: number;
  readonly events: number;
  /** Virtual milliseconds from the end of faults until all was well. */
  readonly healedMs: number;
  /** Equal for equal runs. */
  readonly trace: string;
}

export class Swarm {
  readonly settings: Settings;
  readonly agenda = new Agenda();
  readonly dice: Dice;
  readonly links: Links;
  readonly witness = new Witness();
  readonly rules: Rules;
  readonly client: Client;
  readonly membership: Membership;
  readonly managers: SimManager[] = [];
  readonly hosts: SimHost[] = [];
  readonly firstManager = 'm1';
  /** The faults have stopped. */
  isCalm = false;
  readonly #planted: Planted;
  readonly #trace: Trace;
  #failure: unknown;
  #isOver = false;
  #events = 0;
  #calmAtMs = 0;
  #wellAtMs = Infinity;

  constructor(settings: Settings, planted: Planted = honest, say?: (line: string) => void) {
    this.settings = settings;
    this.#planted = planted;
    this.dice = new Dice(settings.seed ^ 0x1b873593);
    this.#trace = new Trace(() => this.agenda.now, say);
    this.links = new Links(this.agenda, this.dice, settings.network);
    this.rules = new Rules(this.agenda);
    this.client = new Client(this);
    this.membership = new Membership(this);
  }

  /** Throws Violation, or whatever else goes wrong. */
  async run(): Promise<Result> {
    this.#setUp();
    while (!this.#isOver) {
      const event = this.agenda.next();
      if (event === undefined) break;
      this.#events += 1;
      event.run();
      await turn();
      if (this.#failure !== undefined) throw this.#failure as Error;
    }
    const { sent, done, refused } = this.client;
    return {
      entries: this.witness.frontier,
      elections: this.witness.elections,
      acknowledged: this.witness.acknowledgements,
      commands: { sent, done, refused },
      checks: this.rules.checks,
      events: this.#events,
      healedMs: Math.round(this.#wellAtMs - this.#calmAtMs),
      trace: this.#trace.sum,
    };
  }

  /** The run ends with this. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  checked(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  note(who: string, what: string): void {
    this.#trace.add(who, what);
  }

  logger(who: string): Logger {
    const say = (message: string, fields?: LogFields) =>
      this.note(who, fields === undefined ? message : `${message} ${Trace.text(fields)}`);
    const logger: Logger = {
      debug: () => {},
      info: say,
      warn: say,
      error: say,
      child: () => logger,
    };
    return logger;
  }

  manager(id: string): SimManager | undefined {
    return this.managers.find((manager) => manager.id === id);
  }

  /** The one that leads in the newest term. */
  get leader(): SimManager | undefined {
    const termOf = ({ running }: SimManager) => running?.raft.status?.term ?? 0;
    return this.managers.filter(({ leads }) => leads).toSorted((a, b) => termOf(b) - termOf(a))[0];
  }

  addManager(id: string): SimManager {
    const manager = new SimManager(id, this, this.#planted);
    this.managers.push(manager);
    return manager;
  }

  retire(id: string): void {
    const manager = this.manager(id);
    if (manager === undefined) return;
    manager.isGone = true;
    manager.kill('keep');
  }

  startHost(host: SimHost): void {
    host.startDaemon().catch((error: unknown) => this.fail(error));
  }

  newLeader(id: string, store: Store): void {
    this.witness.hasAll(id, store.index);
    this.client.check(id, store);
  }

  #setUp(): void {
    this.addManager(this.firstManager).start();
    for (let at = 1; at <= this.settings.hosts; at++) {
      this.hosts.push(new SimHost(`w${at}`, this, this.#planted));
    }
    this.#when(
      () => this.leader !== undefined,
      () => this.#writeFirst(),
    );
  }

  #writeFirst(): void {
    const { store, process } = this.leader?.running ?? {};
    const nodes = this.hosts.map(({ id }): Change => {
      return { op: 'put', table: 'node', object: workerNode(id), base: 0 };
    });
    if (store === undefined || process === undefined) return;
    const mesh = newIngressNetwork(cluster, process.random);
    const first: Change[] = [
      { op: 'put', table: 'cluster', object: cluster, base: 0 },
      { op: 'put', table: 'network', object: mesh, base: 0 },
      ...nodes,
    ];
    store.propose(first, { atMs: process.clock.nowMs() }).then(
      () => {
        for (const host of this.hosts) this.startHost(host);
      },
      (error: unknown) => this.fail(error),
    );
    this.membership.begin();
    while (this.managers.length < this.settings.managers) this.membership.add();
    this.#when(
      () => this.membership.isSettled,
      () => this.#begin(),
    );
  }

  #begin(): void {
    this.note('swarm', 'is set up');
    this.#actOften();
    this.#lookOften();
    new Faults(this).begin();
    this.agenda.after(this.settings.durationMs, () => this.#calm());
  }

  #when(condition: () => boolean, work: () => void): void {
    if (condition()) work();
    else if (this.agenda.now > setUpBoundMs)
      this.fail(new Violation('set-up', 'it takes too long'));
    else this.agenda.after(50, () => this.#when(condition, work));
  }

  #actOften(): void {
    this.agenda.after(this.dice.wait(this.settings.commandEveryMs), () => {
      if (this.isCalm) return;
      this.client.act();
      this.#readSomewhere();
      this.#actOften();
    });
  }

  /** The witness sees to it that what is read is new enough. */
  #readSomewhere(): void {
    const { id, running } = this.dice.pick(this.managers);
    running?.store.read().catch((error: unknown) => this.note(id, `no read: ${String(error)}`));
  }

  #lookOften(): void {
    this.agenda.after(500, () => {
      this.checked(() => this.#look());
      this.#lookOften();
    });
  }

  #look(): void {
    for (const { id, running, leads } of this.managers) {
      if (running === undefined || running.raft.status === undefined) continue;
      const { store, raft } = running;
      const { role, term } = raft.status ?? {};
      if (role === 'leader' && term !== undefined) this.witness.leads(id, term);
      this.witness.compare(id, store.index, () => store.digest());
      const [fault] = store.audit();
      if (fault !== undefined) throw new Violation('indexes', `${id}: ${fault}`);
      // One that is cut off may not know yet that another leads.
      if (leads && term === this.witness.newestTerm) this.client.check(id, store);
    }
    if (this.isCalm) this.#lookWhetherWell();
  }

  /** The end of faults: everybody runs, and everything is well connected. */
  #calm(): void {
    this.note('swarm', 'faults have stopped');
    this.isCalm = true;
    this.#calmAtMs = this.agenda.now;
    this.links.calm();
    for (const manager of this.managers) {
      manager.fillDisk(false);
      manager.running?.process.resume();
      manager.start();
    }
    const lost = this.settings.losesHost ? this.dice.pick(this.hosts) : undefined;
    if (lost !== undefined) {
      lost.crash();
      lost.isLost = true;
    }
    for (const host of this.hosts) this.startHost(host);
  }

  #lookWhetherWell(): void {
    const { now } = this.agenda;
    const wrong = this.client.settle() ? whatIsWrong(this) : 'commands are still to be done';
    if (wrong !== undefined) {
      this.#wellAtMs = Infinity;
      if (now - this.#calmAtMs < healBoundMs) return;
      throw new Violation('desired equals observed', `${healBoundMs} ms after the faults ${wrong}`);
    }
    this.#wellAtMs = Math.min(this.#wellAtMs, now);
    this.#isOver = now - this.#wellAtMs >= steadyMs;
  }
}

const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };

const cluster: Cluster = {
  id: 'cluster',
  meta,
  spec: {
    name: 'default',
    labels: {},
    orchestration: { taskHistoryLimit: 2 },
    raft: {},
    dispatcher: {},
    ca: {},
    taskDefaults: {},
    encryption: { autoLockManagers: false },
  },
  rootCa: { certPem: '', keyPem: '', joinTokens: { worker: '', manager: '' } },
  dataPathPort: 4789,
  defaultAddressPools: [],
  subnetSize: 24,
  removedNodes: {},
};

function workerNode(id: string): Node {
  return {
    id,
    meta,
    spec: { labels: {}, role: 'worker', availability: 'active' },
    role: 'worker',
    status: { state: 'unknown', message: '', addr: '10.0.0.1', atMs: 0 },
  };
}
