/** One standalone container: its state, and everything that leads from one state to another. */
import { join } from 'node:path';
import type { Timer } from '../../lib/clock.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { ContainerExit, ContainerInfo } from '../runtime/runtime.ts';
import { killedExitCode, signalOrTerm } from '../../lib/signals.ts';
import { HealthWatch } from './health-watch.ts';
import { Lock } from '../../lib/lock.ts';
import { reachedBy } from './connections.ts';
import { nextDelayMs, shouldRestart } from './restart-policy.ts';
import { consoleSizeOf, logOf, runtimeConfig } from './runtime-config.ts';
import type { StandaloneContext } from './standalone-context.ts';
import { startFailure } from './start-failure.ts';
import { checkPausable, checkStartable } from './status-checks.ts';
import { Streams } from './streams.ts';
import {
  isRunning,
  type ContainerRecord,
  type ContainerState,
  type ContainerView,
  type WantedNetwork,
} from './view.ts';

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

const defaultStopSeconds = 10;
const forever = 2 ** 31 - 1;

export class Standalone {
  readonly streams: Streams;
  readonly #context: StandaloneContext;
  /** Whatever starts it, or takes its layer in hand, comes one after another. */
  readonly lock = new Lock();
  #record: ContainerRecord;
  #state: ContainerState;
  #health: HealthWatch | undefined;
  #restart: Timer | undefined;
  #delayMs = 0;
  /** No policy starts it again, until a person does. */
  #cancelled = false;
  #finishing = false;
  #change = Promise.withResolvers<void>();
  #exits = 0;
  #ending: Promise<void> = Promise.resolve();

  constructor(record: ContainerRecord, state: ContainerState, context: StandaloneContext) {
    this.#record = record;
    this.#state = state;
    this.#context = context;
    const { stdinOnce } = record.config;
    this.streams = new Streams(record.id, context.runtime.io, { stdinOnce });
  }

  get id(): string {
    return this.#record.id;
  }
  get record(): ContainerRecord {
    return this.#record;
  }
  get state(): ContainerState {
    return this.#health === undefined ? this.#state : { ...this.#state, health: this.#health.view };
  }
  get logPath(): string {
    return join(this.folder, `${this.id}-json.log`);
  }
  get folder(): string {
    return join(this.#context.folder, this.id);
  }

  view(execIds: readonly string[]): ContainerView {
    const connection = this.#context.connections.of(this.id);
    const { netnsPath, networks = [], ports = [], files = {} } = connection ?? {};
    return {
      record: this.#record,
      state: this.state,
      runtimeId: this.id,
      ...(netnsPath === undefined ? {} : { netnsPath }),
      networks,
      ports,
      logPath: logOf(this.#record).driver === 'none' ? '' : this.logPath,
      files,
      mounts: this.#context.connections.viewsOfMounts(this.#record),
      execIds,
      links: this.#context.links.shown(this.#record),
      otherNames: this.#context.links.namesOf(this.id),
    };
  }

  /** Takes over what a former daemon left. */
  async adopt(info: ContainerInfo | undefined): Promise<void> {
    const { connections, clock, runtime } = this.#context;
    // Its daemon was killed in the middle of a start: nobody would ever let that process go on.
    if (info?.state === 'created') await runtime.remove(this.id);
    if (this.#state.status === 'removing') this.#set({ status: 'dead' });
    if (!isRunning(this.#state)) return;
    if (info?.state === 'running' || info?.state === 'paused') {
      await connections.adopt(this.#record, this.#state.connected);
      this.#set({ status: info.state, pid: info.pid });
      this.streams.connect();
      this.#watchHealth();
      if (info.state === 'paused') this.#health?.pause();
      return;
    }
    // Restarting, or ended while no daemon was there, or gone with the host's power.
    const lost = { id: this.id, exitCode: 255, oomKilled: false, atMs: clock.nowMs() };
    const exit = info?.exit ?? lost;
    if (this.#state.status === 'restarting') this.#set({ status: 'exited', pid: 0 });
    else await this.exited(exit);
  }

  /** False: it ran already. */
  async start(): Promise<boolean> {
    try {
      return await this.lock.run(() => this.#start());
    } catch (error) {
      const { status } = this.#state;
      const isOver = status === 'created' || status === 'exited';
      // Before the answer: whoever waits for the removal hears of it first, as in Docker.
      if (isOver && this.#record.host.autoRemove) await this.#context.onOver(this);
      throw error;
    }
  }

  async #start(): Promise<boolean> {
    if (!checkStartable(this.#state.status)) return false;
    this.#restart?.cancel();
    this.#cancelled = false;
    this.#delayMs = 0;
    this.#set({ restartCount: 0, wasStopped: false });
    await this.#ending;
    await this.#launch();
    return true;
  }

  /** `seconds`: the grace, -1 for ever. False: it did not run. */
  async stop(options: { seconds?: number; signal?: string } = {}): Promise<boolean> {
    if (!isRunning(this.#state)) return false;
    await this.#end(options);
    this.#context.events.tell('stop', this.#record);
    return true;
  }

  async restart(options: { seconds?: number; signal?: string }): Promise<void> {
    if (isRunning(this.#state)) {
      await this.#end(options);
      this.#context.events.tell('stop', this.#record);
    }
    await this.start();
    this.#context.events.tell('restart', this.#record);
  }

  /** Throws `aborted` for one that does not run. */
  async kill(signal: string): Promise<void> {
    const { events, runtime } = this.#context;
    const { status } = this.#state;
    if (status !== 'running' && status !== 'paused') {
      throw new SwarmError('aborted', `container ${this.id} is not running`);
    }
    const name = signal.toUpperCase().replace(/^SIG/, '');
    const ends = ['KILL', '9', this.#stopSignal().replace(/^SIG/, '')].includes(name);
    this.#set({ wasStopped: true });
    if (ends) this.#cancelled = true;
    await runtime.kill(this.id, signal);
    if (status === 'paused' && ends) await this.#thaw();
    events.tellKill(this.#record, signal);
    // As in Docker, the answer to SIGKILL comes once it has done its work.
    if (name === 'KILL' || name === '9') await this.#untilEnded();
  }

  async pause(): Promise<void> {
    checkPausable(this.id, this.#state.status);
    this.#health?.pause();
    try {
      await this.#context.runtime.controls.pause(this.id);
    } catch (error) {
      this.#health?.resume();
      throw error;
    }
    this.#set({ status: 'paused' });
    this.#context.events.tell('pause', this.#record);
  }

  async unpause(): Promise<void> {
    if (this.#state.status !== 'paused') {
      throw new SwarmError('aborted', `Container ${this.id} is not paused`);
    }
    await this.#context.runtime.controls.resume(this.id);
    this.#set({ status: 'running' });
    this.#health?.resume();
    this.#context.events.tell('unpause', this.#record);
  }

  change(change: (record: ContainerRecord) => ContainerRecord): void {
    this.#record = change(this.#record);
    this.#context.records.put(this.#record, this.#state);
  }

  /** On other networks from now on; throws, and all is as before. */
  rewire(change: (networks: readonly WantedNetwork[]) => readonly WantedNetwork[]): Promise<void> {
    return this.lock.run(async () => {
      const { connections } = this.#context;
      const { status } = this.#state;
      const record = { ...this.#record, networks: change(this.#record.networks) };
      if (status === 'running' || status === 'paused') {
        this.#set(reachedBy(await connections.change(record)));
      }
      this.change(({ networks: _, ...rest }) => ({ ...rest, networks: record.networks }));
      await this.#context.links.moved(this);
    });
  }

  /** Resolves to the exit code. */
  async wait(condition: WaitCondition, signal: AbortSignal): Promise<number> {
    const before = this.#exits;
    const isOver = () => {
      const { status } = this.#state;
      if (status === 'dead') return true;
      if (condition === 'removed') return false;
      return condition === 'next-exit' ? this.#exits > before : !isRunning(this.#state);
    };
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!isOver()) {
        signal.throwIfAborted();
        await Promise.race([this.#change.promise, aborted.promise]);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return this.#state.exitCode;
  }

  /** Takes everything away but the record, which is the caller's. */
  async remove(): Promise<void> {
    const { connections, events, runtime } = this.#context;
    this.#restart?.cancel();
    this.#cancelled = true;
    if (this.#state.status === 'restarting') this.#set({ status: 'exited' });
    if (isRunning(this.#state)) {
      await runtime.kill(this.id, 'SIGKILL');
      events.tellKill(this.#record, 'SIGKILL');
      if (this.#state.status === 'paused') await this.#thaw();
      await this.#untilEnded();
    }
    this.#set({ status: 'removing' });
    try {
      await this.lock.run(async () => {
        await this.#ending;
        await runtime.remove(this.id);
        await connections.disconnect(this.#record);
        await runtime.layers.remove(this.id);
      });
    } catch (error) {
      // So that it can be removed once more.
      this.#set({ status: 'dead' });
      throw error;
    }
    this.streams.disconnect();
  }

  /** Nothing is left of it: whoever waits for that may go on. */
  gone(): void {
    this.#state = { ...this.#state, status: 'dead' };
    this.#announce();
  }

  /** The daemon ends; the container runs on. */
  async close(): Promise<void> {
    this.#restart?.cancel();
    this.#health?.stop();
    await this.#ending;
  }

  /** Its process has ended. */
  exited(exit: ContainerExit): Promise<void> {
    const { status } = this.#state;
    if (this.#finishing || (status !== 'running' && status !== 'paused')) return this.#ending;
    this.#finishing = true;
    this.#ending = this.#finish(exit).finally(() => {
      this.#finishing = false;
    });
    return this.#ending;
  }

  async #finish(exit: ContainerExit): Promise<void> {
    const { connections, events, log } = this.#context;
    this.#health?.stop();
    const health = this.#health?.view;
    this.#health = undefined;
    let left: Awaited<ReturnType<typeof connections.leave>> = [];
    try {
      left = await connections.leave(this.#record);
    } catch (error) {
      log.error('the network of a container could not be let go', {
        containerId: this.id,
        error: messageOf(error),
      });
    }
    const ranMs = Math.max(0, exit.atMs - this.#state.startedAtMs);
    const { restartCount } = this.#state;
    const again =
      this.#state.status !== 'removing' &&
      shouldRestart(this.#record.host.restartPolicy, {
        exitCode: exit.exitCode,
        ranMs,
        restartCount,
        wasStopped: this.#cancelled,
      });
    this.#exits++;
    if (exit.oomKilled) events.tell('oom', this.#record);
    this.#set({
      status: again ? 'restarting' : 'exited',
      pid: 0,
      exitCode: exit.exitCode,
      oomKilled: exit.oomKilled,
      finishedAtMs: exit.atMs,
      error: '',
      ...(again ? { restartCount: restartCount + 1 } : {}),
      ...(health === undefined ? {} : { health: { ...health, status: 'unhealthy' } }),
    });
    this.streams.disconnect();
    events.tell('die', this.#record, {
      exitCode: String(exit.exitCode),
      execDuration: String(Math.floor(ranMs / 1000)),
    });
    // As Docker has it: whoever hears that it has ended finds that it has.
    connections.tellLeft(this.#record, left);
    if (again) this.#restartLater(ranMs);
    else if (this.#record.host.autoRemove) void this.#context.onOver(this);
  }

  #restartLater(ranMs: number): void {
    const { clock, log } = this.#context;
    this.#delayMs = nextDelayMs(this.#delayMs, ranMs);
    this.#restart = clock.after(this.#delayMs, () => {
      void this.lock.run(async () => {
        if (this.#state.status !== 'restarting') return;
        try {
          await this.#launch();
        } catch (error) {
          log.warn('a container could not be started again', {
            containerId: this.id,
            error: messageOf(error),
          });
          const policy = this.#record.host.restartPolicy;
          const { restartCount, exitCode } = this.#state;
          const ended = { exitCode: exitCode || 128, ranMs: 0, restartCount };
          if (shouldRestart(policy, { ...ended, wasStopped: this.#cancelled })) {
            this.#set({ status: 'restarting', restartCount: restartCount + 1 });
            this.#restartLater(0);
          } else {
            this.#set({ status: 'exited' });
          }
        }
      });
    });
  }

  async #launch(): Promise<void> {
    const { connections, devices, links, runtime, clock, events, pidOf } = this.#context;
    const { host } = this.#record;
    const { status } = this.#state;
    try {
      await runtime.remove(this.id);
      links.check(this.#record);
      const connection = await connections.connect(this.#record);
      const { pidMode } = host;
      const other = pidMode.startsWith('container:') ? pidMode.slice('container:'.length) : '';
      const config = runtimeConfig(this.#record, {
        network: connection.runtime,
        env: links.env(this.#record),
        files: connection.mounted,
        logPath: this.logPath,
        mounts: await connections.mounts(this.#record),
        devices: await devices.requested(host.deviceRequests ?? []),
        ...(other === '' ? {} : { pidNamespace: `/proc/${pidOf(other)}/ns/pid` }),
        ...consoleSizeOf(this.streams.size, host.consoleSize),
      });
      const { pid } = await runtime.create(config);
      this.streams.connect();
      this.#set({
        status: 'running',
        pid,
        exitCode: 0,
        error: '',
        oomKilled: false,
        startedAtMs: clock.nowMs(),
        ...reachedBy(connection),
      });
      await links.moved(this);
      events.tell('start', this.#record);
      this.#watchHealth();
      await runtime.start(this.id);
    } catch (error) {
      await this.#launchFailed(error, status);
    }
  }

  async #launchFailed(error: unknown, before: ContainerState['status']): Promise<never> {
    const { connections, runtime, log } = this.#context;
    const { failure, exitCode } = startFailure(error, this.#record.argv);
    this.#health?.stop();
    this.#health = undefined;
    const status = before === 'created' ? 'created' : 'exited';
    this.#set({ status, pid: 0, exitCode, error: failure.message });
    this.streams.disconnect();
    try {
      await runtime.remove(this.id);
      await connections.disconnect(this.#record);
    } catch (second) {
      log.error('what was left of a failed start could not be cleared up', {
        containerId: this.id,
        error: messageOf(second),
      });
    }
    this.#exits++;
    this.#announce();
    throw failure;
  }

  async #end({ seconds, signal }: { seconds?: number; signal?: string }): Promise<void> {
    const { clock, events, runtime } = this.#context;
    this.#cancelled = true;
    this.#restart?.cancel();
    this.#set({ wasStopped: true });
    if (this.#state.status === 'restarting') {
      this.#set({ status: 'exited' });
      if (this.#record.host.autoRemove) void this.#context.onOver(this);
      return;
    }
    const signalName = signal === undefined || signal === '' ? this.#stopSignal() : signal;
    const wanted = seconds ?? this.#record.config.stopTimeout ?? defaultStopSeconds;
    const graceMs = wanted < 0 ? forever : wanted * 1000;
    const thawed = this.#state.status === 'paused';
    events.tellKill(this.#record, signalName);
    const startMs = clock.monotonicMs();
    const stopped = runtime.stop(this.id, { signalName, graceMs });
    if (thawed) await this.#thaw();
    const exit = await stopped;
    const isLate = clock.monotonicMs() - startMs >= graceMs;
    if (isLate && exit.exitCode === killedExitCode) events.tellKill(this.#record, 'SIGKILL');
    await this.exited(exit);
    await this.#untilEnded();
  }

  async #thaw(): Promise<void> {
    try {
      await this.#context.runtime.controls.resume(this.id);
    } catch (error) {
      // It may have ended meanwhile.
      if (SwarmError.from(error).code !== 'failed-precondition') throw error;
    }
  }

  async #untilEnded(): Promise<void> {
    while (this.#state.status === 'running' || this.#state.status === 'paused') {
      await this.#change.promise;
    }
    await this.#ending;
  }

  #watchHealth(): void {
    this.#health = HealthWatch.of(this.#record, this.#context, (status) => {
      this.#context.events.tell(`health_status: ${status}`, this.#record);
    });
  }

  #stopSignal(): string {
    return signalOrTerm(this.#record.config.stopSignal);
  }

  #set(change: Partial<ContainerState>): void {
    this.#state = { ...this.#state, ...change };
    try {
      this.#context.records.save(this.id, this.#state);
    } catch (error) {
      this.#context.log.error('the state of a container could not be written', {
        containerId: this.id,
        error: messageOf(error),
      });
    }
    this.#announce();
  }

  #announce(): void {
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers<void>();
    resolve();
  }
}
