/**
 * Containers of this node on networks of the swarm: the managers know each by a task, which lasts
 * for as long as this node says that its container is there. What nobody here knows of, because the
 * daemon or the host ended in between, is over.
 */
import type { Clock } from '../../lib/clock.ts';
import { isTerminal, isWanted, type AssignedTask, type TaskStatus } from '../../types/index.ts';
import type { GivenAddresses, JoinRequest, SwarmNetworks, SwarmPlace } from './joining.ts';

interface SwarmAttachmentsDeps {
  /** Asks the managers; undefined where there are none, or no such network. */
  readonly ask: (request: JoinRequest) => Promise<SwarmPlace | undefined>;
  /** The managers have taken the place away: the container is to leave the network. */
  readonly onLost: (taskId: string) => void;
  readonly clock: Clock;
}

interface AttachmentChange {
  /** What is neither in `update` nor in `kept` is gone. */
  readonly complete: boolean;
  readonly kept: readonly string[];
  readonly update: readonly AssignedTask[];
  readonly remove: readonly string[];
}

export class SwarmAttachments implements SwarmNetworks {
  readonly #deps: SwarmAttachmentsDeps;
  readonly #tasks = new Map<string, AssignedTask>();
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #held = new Set<string>();
  /** Those of which the container is on its networks by now. */
  readonly #arrived = new Map<string, GivenAddresses | undefined>();
  /** Containers that wait for an answer, and how often: a task may be told of before it. */
  readonly #asking = new Map<string, number>();
  readonly #listeners = new Set<(taskId: string, status: TaskStatus) => void>();

  constructor(deps: SwarmAttachmentsDeps) {
    this.#deps = deps;
  }

  async join(request: JoinRequest): Promise<SwarmPlace | undefined> {
    const { containerId } = request;
    this.#asking.set(containerId, (this.#asking.get(containerId) ?? 0) + 1);
    try {
      const place = await this.#deps.ask(request);
      if (place !== undefined) this.#held.add(place.taskId);
      return place;
    } finally {
      const left = (this.#asking.get(containerId) ?? 1) - 1;
      if (left > 0) this.#asking.set(containerId, left);
      else this.#asking.delete(containerId);
      this.#judgeOf(containerId);
    }
  }

  joined(taskId: string, given?: GivenAddresses): void {
    this.#held.add(taskId);
    this.#arrived.set(taskId, given);
    this.#judge(taskId);
  }

  letGo(taskId: string): void {
    this.#held.delete(taskId);
    this.#arrived.delete(taskId);
    this.#judge(taskId);
  }

  /** What the managers say of this node's attachments. */
  assign({ complete, kept, update, remove }: AttachmentChange): void {
    const named = new Set([...kept, ...update.map(({ id }) => id)]);
    for (const task of update) this.#tasks.set(task.id, task);
    const gone = complete ? [...this.#tasks.keys()].filter((id) => !named.has(id)) : remove;
    for (const id of gone) {
      if (this.#tasks.delete(id)) this.#lost(id);
      this.#statuses.delete(id);
    }
    for (const { id, desiredState } of update) {
      if (isWanted(desiredState)) this.#judge(id);
      else this.#lost(id);
    }
  }

  statuses(): ReadonlyMap<string, TaskStatus> {
    return this.#statuses;
  }

  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  #lost(taskId: string): void {
    const isHeld = this.#held.delete(taskId);
    this.#arrived.delete(taskId);
    if (isHeld) this.#deps.onLost(taskId);
    this.#judge(taskId);
  }

  #judgeOf(containerId: string): void {
    for (const { id, attachedContainerId } of this.#tasks.values()) {
      if (attachedContainerId === containerId) this.#judge(id);
    }
  }

  /** Says what is true of the task: that its container is there, or that this is over. */
  #judge(taskId: string): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined) return;
    const { attachedContainerId: containerId = '' } = task;
    if (this.#arrived.has(taskId)) this.#say(taskId, containerId, 'running', 'started');
    else if (this.#held.has(taskId) || this.#asking.has(containerId)) return;
    else this.#say(taskId, containerId, 'complete', 'the container has left the network');
  }

  #say(taskId: string, containerId: string, state: 'running' | 'complete', message: string): void {
    const before = this.#statuses.get(taskId);
    if (before?.state === state || (before !== undefined && isTerminal(before.state))) return;
    const given = this.#arrived.get(taskId);
    const status = {
      state,
      message,
      container: { containerId, pid: 0 },
      atMs: this.#deps.clock.nowMs(),
      ...(given === undefined ? {} : { networks: [given] }),
    };
    this.#statuses.set(taskId, status);
    for (const listener of this.#listeners) listener(taskId, status);
  }
}
