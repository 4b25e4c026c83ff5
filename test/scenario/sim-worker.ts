/** A worker in virtual time: it does with its tasks what a real one would, without containers. */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Store } from '../../manager/store/index.ts';
import { compareStates, isTerminal, type Task, type TaskStatus } from '../../types/index.ts';

/** What containers of an image do; the default starts, and runs until it is stopped. */
export interface Behaviour {
  readonly startMs: number;
  readonly stopMs: number;
  /** Ends by itself this long after it began to run. */
  readonly exitAfterMs?: number;
  readonly exitCode: number;
  /** The image cannot be pulled: the reason. */
  readonly rejected?: string;
  /** Never gets as far as running. */
  readonly hangs: boolean;
  /** Its image is never there: what comes over the network has stopped coming. */
  readonly stuck?: boolean;
  /** Never becomes healthy, and is given up this long after its start. */
  readonly unhealthyMs?: number;
}

export const plainBehaviour: Behaviour = { startMs: 100, stopMs: 100, exitCode: 0, hangs: false };

/** What hangs is looked at again so often: the image may have been mended. */
const lookAgainMs = 10_000;

/** A volume that is not there yet is looked for so often, and one that is let go of is told so. */
const lookForVolumesMs = 500;
const tellReleaseMs = 2_000;

interface Local {
  phase: 'preparing' | 'ready' | 'starting' | 'running' | 'stopping' | 'ended';
  status: TaskStatus;
  timers: Timer[];
  readonly volumeIds: readonly string[];
  /** The managers have held the node for lost meanwhile: its volumes were taken from it. */
  isFenced: boolean;
}

const usingPhases: readonly Local['phase'][] = ['ready', 'starting', 'running', 'stopping'];

interface SimWorkerDeps {
  /** Of whichever manager leads. */
  readonly store: () => Store;
  readonly clock: Clock;
  readonly behaviourOf: (image: string) => Behaviour;
  readonly report: (id: string, status: TaskStatus) => void;
  /** Nothing here uses the volume any more. */
  readonly release: (volumeId: string, publication: string) => void;
  /** Says so at once, whatever uses it: a bug to be found. */
  readonly isHasty: boolean;
}

export class SimWorker {
  readonly nodeId: string;
  readonly #deps: SimWorkerDeps;
  readonly #tasks = new Map<string, Local>();
  #connected = true;
  #alive = true;
  /** Everything takes so many times as long on it. */
  slowness = 1;

  constructor(nodeId: string, deps: SimWorkerDeps) {
    this.nodeId = nodeId;
    this.#deps = deps;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Containers that run here, whatever the managers believe. */
  get running(): string[] {
    return [...this.#tasks].filter(([, { phase }]) => phase === 'running').map(([id]) => id);
  }

  /** Volumes that tasks use here, and that nobody has taken from the node since. */
  get mounted(): string[] {
    return [...this.#tasks.values()].flatMap(({ phase, volumeIds, isFenced }) =>
      isFenced || !usingPhases.includes(phase) ? [] : volumeIds,
    );
  }

  /** The managers hold the node for lost. */
  fence(): void {
    for (const local of this.#tasks.values()) local.isFenced = true;
  }

  /** Lets go of what the managers want back, as soon as no task uses it. */
  releaseVolumes(): void {
    if (!this.#connected) return;
    let isTold = false;
    for (const { id, publishStatus } of this.#deps.store().volumes()) {
      const own = publishStatus.find(({ nodeId }) => nodeId === this.nodeId);
      if (own?.state !== 'pending-node-unpublish') continue;
      const isUsed = [...this.#tasks.values()].some(
        ({ phase, volumeIds }) => volumeIds.includes(id) && usingPhases.includes(phase),
      );
      if (isUsed && !this.#deps.isHasty) continue;
      this.#deps.release(id, own.publication);
      isTold = true;
    }
    // The word may be lost.
    if (isTold) this.#deps.clock.after(tellReleaseMs, () => this.releaseVolumes());
  }

  /** Cut off, it runs its containers on and hears nothing. */
  disconnect(): void {
    this.#connected = false;
  }

  /** The host dies with its containers. */
  kill(): void {
    this.#connected = false;
    this.#alive = false;
    for (const [id, local] of this.#tasks) {
      this.#stopTimers(local);
      if (local.phase !== 'ended') this.#end(id, local, 'failed', 'the host died');
    }
  }

  /** Back in touch: everything is told again, then the assignments are looked at. */
  connect(): void {
    this.#alive = true;
    this.#connected = true;
    for (const [id, { status }] of this.#tasks) this.#deps.report(id, status);
    this.sync();
  }

  /** The container of a task dies. */
  crash(id: string, exitCode: number): void {
    const local = this.#tasks.get(id);
    if (local?.phase === 'running') this.#exit(id, local, exitCode);
  }

  /** One task has changed. */
  notice(id: string): void {
    if (!this.#connected) return;
    const task = this.#deps.store().task(id);
    if (task === undefined) this.#forget(id);
    else if (compareStates(task.status.state, 'assigned') >= 0) this.#follow(task);
  }

  /** Looks at what the managers want of this node. */
  sync(): void {
    if (!this.#connected) return;
    const seen = new Set<string>();
    for (const task of this.#deps.store().tasksOfNode(this.nodeId)) {
      seen.add(task.id);
      if (compareStates(task.status.state, 'assigned') >= 0) this.#follow(task);
    }
    for (const id of this.#tasks.keys()) if (!seen.has(id)) this.#forget(id);
    this.releaseVolumes();
  }

  #forget(id: string): void {
    const local = this.#tasks.get(id);
    if (local !== undefined) this.#stopTimers(local);
    this.#tasks.delete(id);
    if (local !== undefined && local.volumeIds.length > 0) this.releaseVolumes();
  }

  #follow(task: Task): void {
    let local = this.#tasks.get(task.id);
    if (local === undefined) {
      if (isTerminal(task.status.state)) return;
      const volumeIds = (task.volumes ?? []).map(({ id }) => id);
      const { status } = task;
      local = { phase: 'preparing', status, timers: [], volumeIds, isFenced: false };
      this.#tasks.set(task.id, local);
      this.#begin(task, local);
    }
    const stop = task.desiredState === 'shutdown' || task.desiredState === 'remove';
    if (stop) this.#stop(task, local);
    else if (task.desiredState !== 'ready' && local.phase === 'ready') this.#start(task, local);
  }

  #begin(task: Task, local: Local): void {
    this.#say(task.id, local, 'preparing', 'preparing');
    this.#prepare(task, local);
  }

  #prepare(task: Task, local: Local): void {
    const { rejected, stuck = false } = this.#behaviour(task);
    if (stuck) {
      this.#later(local, lookAgainMs, () => this.#prepare(task, local));
      return;
    }
    this.#later(local, 10, () => {
      if (rejected !== undefined) {
        this.#end(task.id, local, 'rejected', 'preparing', rejected);
        return;
      }
      this.#mount(task, local);
    });
  }

  #mount(task: Task, local: Local): void {
    if (local.volumeIds.some((id) => !this.#isPublished(id))) {
      this.#later(local, lookForVolumesMs, () => this.#mount(task, local));
      return;
    }
    local.phase = 'ready';
    this.#say(task.id, local, 'ready', 'prepared');
    this.notice(task.id);
  }

  #isPublished(volumeId: string): boolean {
    const { publishStatus = [] } = this.#deps.store().volume(volumeId) ?? {};
    const own = publishStatus.find(({ nodeId }) => nodeId === this.nodeId);
    return this.#connected && own?.state === 'published';
  }

  #start(task: Task, local: Local): void {
    local.phase = 'starting';
    this.#say(task.id, local, 'starting', 'starting');
    this.#goOn(task, local);
  }

  #goOn(task: Task, local: Local): void {
    const behaviour = this.#behaviour(task);
    if (behaviour.hangs) {
      this.#later(local, lookAgainMs, () => this.#goOn(task, local));
      return;
    }
    if (behaviour.unhealthyMs !== undefined) {
      const why = 'task: unhealthy container';
      this.#later(local, behaviour.unhealthyMs, () =>
        this.#end(task.id, local, 'failed', 'starting', why),
      );
      return;
    }
    this.#later(local, behaviour.startMs, () => {
      local.phase = 'running';
      this.#say(task.id, local, 'running', 'started');
      if (behaviour.exitAfterMs === undefined) return;
      this.#later(local, behaviour.exitAfterMs, () =>
        this.#exit(task.id, local, behaviour.exitCode),
      );
    });
  }

  #stop(task: Task, local: Local): void {
    if (local.phase === 'stopping' || local.phase === 'ended') return;
    const wasRunning = local.phase === 'running';
    this.#stopTimers(local);
    if (!wasRunning) {
      this.#end(task.id, local, 'shutdown', 'shutdown');
      return;
    }
    local.phase = 'stopping';
    this.#later(local, this.#behaviour(task).stopMs, () =>
      this.#end(task.id, local, 'shutdown', 'shutdown'),
    );
  }

  #exit(id: string, local: Local, code: number): void {
    this.#stopTimers(local);
    if (code === 0) this.#end(id, local, 'complete', 'finished');
    else this.#end(id, local, 'failed', 'started', `task: non-zero exit (${code})`);
  }

  #end(id: string, local: Local, state: TaskStatus['state'], message: string, err?: string): void {
    local.phase = 'ended';
    this.#say(id, local, state, message, err);
    if (local.volumeIds.length > 0) this.releaseVolumes();
  }

  #say(id: string, local: Local, state: TaskStatus['state'], message: string, err?: string): void {
    const atMs = this.#deps.clock.nowMs();
    local.status = { state, atMs, message, ...(err === undefined ? {} : { err }) };
    if (this.#connected) this.#deps.report(id, local.status);
  }

  #later(local: Local, delayMs: number, callback: () => void): void {
    local.timers.push(this.#deps.clock.after(delayMs * this.slowness, callback));
  }

  #stopTimers(local: Local): void {
    for (const timer of local.timers) timer.cancel();
    local.timers = [];
  }

  #behaviour(task: Task): Behaviour {
    return this.#deps.behaviourOf(task.spec.container?.image ?? '');
  }
}
