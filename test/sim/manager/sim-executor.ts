/** Does with its tasks what a real executor does, without containers. */
import { SwarmError } from '../../../lib/errors.ts';
import {
  compareStates,
  isTerminal,
  isWanted,
  type AssignedTask,
  type TaskState,
  type TaskStatus,
} from '../../../types/index.ts';
import type { TaskExecutor } from '../../../worker/executor/executor.ts';
import type { SimProcess } from './process.ts';
import type { Container, Kept, SimHost } from './sim-host.ts';
import type { Swarm } from './swarm.ts';

const durableMs = 1;

export class SimExecutor implements TaskExecutor {
  readonly #host: SimHost;
  readonly #process: SimProcess;
  readonly #swarm: Swarm;
  readonly #listeners = new Set<(taskId: string, status: TaskStatus) => void>();
  /** Tasks that something is under way for. */
  readonly #busy = new Set<string>();

  constructor(host: SimHost, process: SimProcess, swarm: Swarm) {
    this.#host = host;
    this.#process = process;
    this.#swarm = swarm;
  }

  async start(): Promise<void> {
    for (const [id, container] of this.#host.containers) {
      if (!this.#host.kept.has(id)) this.#stopContainer(container);
    }
    for (const kept of this.#host.kept.values()) {
      const { state } = kept.status;
      if (state === 'starting' && !this.#host.containers.has(kept.task.id)) {
        kept.status = { ...kept.status, state: 'ready' };
      }
      this.#adopt(kept);
      this.#next(kept);
    }
  }

  async assign(set: Parameters<TaskExecutor['assign']>[0]): Promise<void> {
    await this.#process.clock.sleep(durableMs);
    this.#host.networks.apply(set.networks);
    const updated = new Set<string>(set.kept);
    for (const task of set.update) {
      updated.add(task.id);
      this.#take(task);
    }
    const removed = set.complete
      ? [...this.#host.kept.keys()].filter((id) => !updated.has(id))
      : set.remove;
    for (const id of removed) this.#forget(id);
  }

  statuses(): ReadonlyMap<string, TaskStatus> {
    return new Map([...this.#host.kept].map(([id, { status }]) => [id, status]));
  }

  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  logs(): never {
    throw new SwarmError('not-found', 'there are no logs');
  }

  async clear(): Promise<void> {
    for (const id of this.#host.kept.keys()) this.#forget(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** A container of this machine has ended. */
  exited(container: Container): void {
    const kept = this.#host.kept.get(container.task.id);
    if (kept !== undefined) this.#adopt(kept);
  }

  #take(task: AssignedTask): void {
    let kept = this.#host.kept.get(task.id);
    if (kept === undefined) {
      if (isTerminal(task.status.state)) return;
      kept = { task, status: task.status };
      this.#host.kept.set(task.id, kept);
      this.#say(kept, 'accepted');
    }
    const { desiredState } = kept.task;
    const isStale = compareStates(desiredState, task.desiredState) > 0;
    kept.task = isStale ? { ...task, desiredState } : task;
    this.#next(kept);
  }

  #forget(id: string): void {
    this.#host.kept.delete(id);
    const container = this.#host.containers.get(id);
    if (container !== undefined) this.#stopContainer(container);
  }

  /** Does what is next for the task. */
  #next(kept: Kept): void {
    const { task, status } = kept;
    if (isTerminal(status.state)) return;
    if (!isWanted(task.desiredState)) {
      const container = this.#host.containers.get(task.id);
      if (container === undefined) this.#say(kept, 'shutdown');
      else this.#stopContainer(container);
    } else if (status.state === 'accepted' || status.state === 'preparing') this.#prepare(kept);
    else if (status.state === 'ready' && task.desiredState !== 'ready') this.#start(kept);
  }

  #prepare(kept: Kept): void {
    this.#say(kept, 'preparing');
    const { dice } = this.#swarm;
    this.#later(kept, dice.between(5, 400), () => {
      if (imageOf(kept.task) === 'gone') this.#say(kept, 'rejected', 'no such image');
      else this.#say(kept, 'ready');
    });
  }

  #start(kept: Kept): void {
    this.#say(kept, 'starting');
    const { dice } = this.#swarm;
    const isSlow = imageOf(kept.task) === 'slow';
    this.#later(kept, isSlow ? 3_000 : dice.between(20, 500), () => this.#started(kept));
  }

  #started(kept: Kept): void {
    const { task } = kept;
    const taken = new Set(this.#host.running.flatMap((other) => portsOf(other.task)));
    if (portsOf(task).some((port) => taken.has(port))) {
      this.#say(kept, 'failed', 'the port is in use');
      return;
    }
    const container = this.#host.run(task);
    this.#say(kept, 'running');
    const { dice } = this.#swarm;
    const image = imageOf(task);
    if (task.jobIteration !== undefined) {
      this.#host.endAfter(container, this.#jobMs(), image === 'flaky' && dice.chance(0.3) ? 1 : 0);
    }
    if (image === 'bad') this.#host.endAfter(container, 500, 1);
    if (image === 'flaky' && dice.chance(0.4)) {
      this.#host.endAfter(container, dice.between(100, 6_000), dice.pick([0, 1]));
    }
  }

  /** Now and then longer than the time between two ticks. */
  #jobMs(): number {
    const { dice, isCalm } = this.#swarm;
    return isCalm || dice.chance(0.8) ? dice.between(100, 1_500) : dice.between(2_000, 12_000);
  }

  #stopContainer(container: Container): void {
    if (container.isStopping || container.exitCode !== undefined) return;
    container.isStopping = true;
    this.#host.endAfter(container, this.#swarm.dice.between(20, 2_500), 143);
  }

  /** What has become of the task's container. */
  #adopt(kept: Kept): void {
    const { state } = kept.status;
    const container = this.#host.containers.get(kept.task.id);
    if (isTerminal(state) || container === undefined) return;
    if (container.exitCode === undefined) {
      if (state !== 'running') this.#say(kept, 'running');
    } else if (!isWanted(kept.task.desiredState)) this.#say(kept, 'shutdown');
    else if (container.exitCode === 0) this.#say(kept, 'complete');
    else this.#say(kept, 'failed', `exit code ${container.exitCode}`);
  }

  /** One thing at a time is under way for a task; what has changed meanwhile is looked at after. */
  #later(kept: Kept, delayMs: number, work: () => void): void {
    const { id } = kept.task;
    if (this.#busy.has(id)) return;
    this.#busy.add(id);
    this.#process.clock.after(delayMs, () => {
      this.#busy.delete(id);
      if (this.#host.kept.get(id) !== kept) return;
      if (isWanted(kept.task.desiredState) && !isTerminal(kept.status.state)) work();
      this.#next(kept);
    });
  }

  #say(kept: Kept, state: TaskState, err?: string): void {
    if (kept.status.state === state) return;
    const atMs = this.#process.clock.nowMs();
    kept.status = { state, atMs, message: state, ...(err === undefined ? {} : { err }) };
    this.#swarm.note(this.#host.id, `${kept.task.name} is ${state}`);
    for (const listener of this.#listeners) listener(kept.task.id, kept.status);
  }
}

function imageOf(task: AssignedTask): string {
  return task.spec.container?.image?.split(':')[0] ?? '';
}

function portsOf({ ports }: AssignedTask): string[] {
  return (ports ?? []).map(({ protocol, publishedPort }) => `${protocol}/${publishedPort}`);
}
