/** What happens to the containers of tasks, told as of any other: by what is done to them. */
import type { Clock } from '../../lib/clock.ts';
import { killedExitCode } from '../../lib/signals.ts';
import { taskContainerHexId } from '../runtime/hex-id.ts';
import type { ContainerConfig, ContainerExit, Runtime } from '../runtime/runtime.ts';
import type { ContainerEvents, EventSubject } from './events.ts';
import type { TaskContainer } from './tasks.ts';

interface Known {
  readonly subject: EventSubject;
  startedAtMs: number;
  /** On the monotonic clock: it was asked to end, and is made to from then on. */
  killAtMs?: number;
}

interface TaskEventsDeps {
  readonly events: ContainerEvents;
  readonly tasks: () => Iterable<TaskContainer>;
  readonly clock: Clock;
}

type Told = Pick<Runtime, 'create' | 'start' | 'kill' | 'stop' | 'remove'>;

/** The tasks' side of a runtime, whose calls are told; to be disposed of with it. */
export class TaskEvents implements Told, Disposable {
  readonly #runtime: Told;
  readonly #deps: TaskEventsDeps;
  /** Containers that were made here, until they are removed. */
  readonly #known = new Map<string, Known>();
  readonly #listening: Disposable;

  constructor(runtime: Told & Pick<Runtime, 'onExit'>, deps: TaskEventsDeps) {
    this.#runtime = runtime;
    this.#deps = deps;
    this.#listening = runtime.onExit((exit) => this.#ended(exit));
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  async create(...[config, options]: Parameters<Runtime['create']>): Promise<{ pid: number }> {
    const known = this.#lookUp(config.id) ?? madeOf(config);
    const made = await this.#runtime.create(config, options);
    this.#known.set(config.id, known);
    this.#deps.events.tell('create', known.subject);
    return made;
  }

  /** Told first: what ends at once ends after it has started. */
  async start(...[id, options]: Parameters<Runtime['start']>): Promise<void> {
    const known = this.#known.get(id);
    if (known !== undefined) {
      known.startedAtMs = this.#deps.clock.nowMs();
      this.#deps.events.tell('start', known.subject);
    }
    await this.#runtime.start(id, options);
  }

  async kill(...[id, signal]: Parameters<Runtime['kill']>): Promise<void> {
    this.#tellKill(id, signal);
    await this.#runtime.kill(id, signal);
  }

  async stop(...[id, options]: Parameters<Runtime['stop']>): Promise<ContainerExit> {
    this.#tellKill(id, options.signalName);
    const known = this.#find(id);
    if (known !== undefined) known.killAtMs = this.#deps.clock.monotonicMs() + options.graceMs;
    const exit = await this.#runtime.stop(id, options);
    if (known !== undefined) this.#deps.events.tell('stop', known.subject);
    return exit;
  }

  /** Also of what was never made: then there is nothing to tell. */
  async remove(id: string): Promise<void> {
    await this.#runtime.remove(id);
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.delete(id);
    this.#deps.events.tell('destroy', known.subject);
  }

  /** Found by its check. */
  health(id: string, status: string): void {
    const known = this.#find(id);
    if (known !== undefined) this.#deps.events.tell(`health_status: ${status}`, known.subject);
  }

  #tellKill(id: string, signalName: string): void {
    const known = this.#find(id);
    if (known !== undefined) this.#deps.events.tellKill(known.subject, signalName);
  }

  #ended({ id, exitCode, oomKilled, atMs }: ContainerExit): void {
    const known = this.#find(id);
    if (known === undefined) return;
    const { clock, events } = this.#deps;
    const isLate = known.killAtMs !== undefined && clock.monotonicMs() >= known.killAtMs;
    if (isLate && exitCode === killedExitCode) events.tellKill(known.subject, 'SIGKILL');
    if (oomKilled) events.tell('oom', known.subject);
    events.tell('die', known.subject, {
      exitCode: String(exitCode),
      execDuration: String(Math.max(0, Math.floor((atMs - known.startedAtMs) / 1000))),
    });
  }

  /** Those that an earlier daemon has made are known by their tasks. */
  #find(id: string): Known | undefined {
    const known = this.#known.get(id) ?? this.#lookUp(id);
    if (known !== undefined) this.#known.set(id, known);
    return known;
  }

  #lookUp(id: string): Known | undefined {
    for (const { containerId, prepared, status, task } of this.#deps.tasks()) {
      if (containerId !== id) continue;
      const image = task.spec.container?.image ?? '';
      return knownAs(id, image, prepared?.container.labels ?? {}, status.atMs);
    }
    return undefined;
  }
}

function madeOf({ id, image, labels }: ContainerConfig): Known {
  return knownAs(id, image.name, labels, 0);
}

function knownAs(
  id: string,
  image: string,
  labels: Readonly<Record<string, string>>,
  startedAtMs: number,
): Known {
  const config = { image, labels };
  return { subject: { id: taskContainerHexId(id), name: id, config }, startedAtMs };
}
