/** A machine: its containers, its durable copy of the assignments, and a daemon on it. */
import type { DescService } from '@bufbuild/protobuf';
import { Dispatcher as DispatcherService } from '../../../gen/dispatcher_pb.js';
import { SwarmError } from '../../../lib/errors.ts';
import type { NodeIdentity } from '../../../lib/identity/index.ts';
import type { AssignedTask, NodeDescription, TaskStatus } from '../../../types/index.ts';
import { Agent, type ClusterState, type NewsKeeper } from '../../../worker/agent/index.ts';
import { NetworkTables } from '../../../worker/network/tables.ts';
import { honest, type Planted } from './planted.ts';
import { SimProcess } from './process.ts';
import { simGauge } from './gauge.ts';
import { SimExecutor } from './sim-executor.ts';
import { SessionCall } from './streams.ts';
import type { Swarm } from './swarm.ts';

export interface Container {
  readonly task: AssignedTask;
  /** Present once it has ended by itself or was stopped. */
  exitCode?: number;
  isStopping: boolean;
}

export interface Kept {
  task: AssignedTask;
  status: TaskStatus;
}

export class SimHost {
  readonly id: string;
  readonly #swarm: Swarm;
  readonly #planted: Planted;
  /** What runs or has run on the machine, by task; it outlives the daemon. */
  readonly containers = new Map<string, Container>();
  /** The durable copy of the assignments. */
  readonly kept = new Map<string, Kept>();
  /** What it knows of networks; on the disk, as the assignments are. */
  readonly networks = new NetworkTables();
  #lastNews: ClusterState | undefined;
  readonly #news: NewsKeeper = {
    read: () => Promise.resolve(this.#lastNews),
    write: (state) => {
      this.#lastNews = state;
      return Promise.resolve();
    },
  };
  #daemon: { readonly process: SimProcess; readonly executor: SimExecutor } | undefined;
  isLost = false;

  constructor(id: string, swarm: Swarm, planted: Planted = honest) {
    this.id = id;
    this.#swarm = swarm;
    this.#planted = planted;
  }

  get isUp(): boolean {
    return this.#daemon !== undefined;
  }

  get process(): SimProcess | undefined {
    return this.#daemon?.process;
  }

  get running(): Container[] {
    return [...this.containers.values()].filter(({ exitCode }) => exitCode === undefined);
  }

  async startDaemon(): Promise<void> {
    if (this.#daemon !== undefined || this.isLost) return;
    const { agenda, dice } = this.#swarm;
    const process = new SimProcess(this.id, agenda, { seed: dice.below(2 ** 31) });
    const executor = new SimExecutor(this, process, this.#swarm);
    this.#daemon = { process, executor };
    this.#swarm.note(this.id, 'starts');
    const agent = new Agent({
      identity: this.#identity(process),
      folder: this.#news,
      managers: this.#swarm.managers.filter(({ isGone }) => !isGone).map(({ addr }) => addr),
      executor,
      describe: () => this.#describe(),
      measure: simGauge(this.#swarm, process.clock),
      onRemoved: (reason) => this.#swarm.note(this.id, reason.message),
      clock: process.clock,
      random: process.random,
      log: this.#swarm.logger(this.id),
    });
    await executor.start();
    await agent.start();
  }

  /** The daemon ends at once; containers run on. */
  killDaemon(): void {
    if (this.#daemon === undefined) return;
    this.#swarm.note(this.id, 'daemon is killed');
    this.#daemon.process.kill();
    this.#daemon = undefined;
  }

  /** The machine stops, and everything on it. */
  crash(): void {
    this.killDaemon();
    this.#swarm.note(this.id, 'machine stops');
    for (const container of this.running) container.exitCode = 137;
  }

  run(task: AssignedTask): Container {
    const others = this.#swarm.hosts.flatMap(({ id, running }) =>
      running.map((container) => ({ nodeId: id, task: container.task })),
    );
    this.#swarm.checked(() => this.#swarm.rules.starts({ nodeId: this.id, task }, others));
    const container: Container = { task, isStopping: false };
    this.containers.set(task.id, container);
    return container;
  }

  /** Ends the container after a time, if it has not ended by then; its daemon need not be there. */
  endAfter(container: Container, delayMs: number, exitCode: number): void {
    this.#swarm.agenda.after(delayMs, () => {
      if (container.exitCode !== undefined) return;
      container.exitCode = exitCode;
      this.#swarm.note(this.id, `${container.task.name} exits with ${exitCode}`);
      const { process, executor } = this.#daemon ?? {};
      process?.whenAwake(() => executor?.exited(container));
    });
  }

  #describe(): NodeDescription {
    return {
      hostname: this.id,
      platform: { os: 'linux', architecture: 'x86_64' },
      resources: { nanoCpus: 4e9, memoryBytes: 8 * 2 ** 30 },
      engine: { version: '1', labels: {}, plugins: [] },
      dataPath: { address: '10.0.0.1' },
    };
  }

  /** The agent asks of an identity only that it connects. */
  #identity(process: SimProcess): NodeIdentity {
    const connect = (addr: string) => ({
      addr,
      client: (service: DescService) => {
        if (service !== DispatcherService) throw new Error(`${service.name} is not simulated`);
        return {
          session: ({ signal }: { signal?: AbortSignal }) => this.#call(process, addr, signal),
        };
      },
      [Symbol.dispose]: () => undefined,
    });
    return { connect } as unknown as NodeIdentity;
  }

  #call(process: SimProcess, addr: string, signal: AbortSignal | undefined) {
    const { links, agenda } = this.#swarm;
    const manager = this.#swarm.managers.find((candidate) => candidate.addr === addr);
    const target = manager?.running?.process ?? new SimProcess(addr, agenda, { seed: 0 });
    const call = new SessionCall(this.#swarm, process, target, signal);
    const name = manager?.id ?? addr;
    agenda.after(links.delayMs(), () => {
      if (links.isCut(this.id, name) || links.isCut(name, this.id)) return;
      const { running } = manager ?? {};
      if (running === undefined || running.process !== target) {
        call.refuse(new SwarmError('unavailable', `${addr} refuses the connection`));
        return;
      }
      const peer = {
        nodeId: this.id,
        role: 'worker' as const,
        clusterId: 'cluster',
        notAfterMs: Infinity,
      };
      target.whenAwake(() =>
        call.serve(
          (stream, context) =>
            running.dispatcher.handlers.session(this.#planted.session(stream), context),
          { peer, remoteIp: '10.0.0.1' },
        ),
      );
    });
    return call.stream;
  }
}
