import type { Clock, Timer } from '../../lib/clock.ts';
import { SwarmError, type ErrorCode } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { ClusterVolume, CsiReply, CsiRequest } from '../../types/index.ts';
import type { Change } from '../store/change.ts';
import type { ChangeBatch, ChangeListener, ObjectEvent } from '../store/event.ts';
import type { ApplyResult } from '../store/log.ts';
import type { StoreView } from '../store/view.ts';
import { failed, planVolume, released, succeeded, waitingFor } from '../volume/index.ts';
import type { VolumeCall } from '../volume/index.ts';
import { requestOf } from './request.ts';

export interface VolumeKeeperParts {
  readonly store: StoreView & {
    propose(changes: readonly Change[], options: { readonly atMs: number }): Promise<ApplyResult>;
    onChange(listener: ChangeListener): Disposable;
  };
  /** Asks a driver by way of the node that has it. */
  readonly ask: (
    nodeId: string,
    request: CsiRequest,
    options: { readonly signal: AbortSignal },
  ) => Promise<CsiReply>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A driver may have to make disks; one that takes longer is asked again, which it allows. */
const callTimeoutMs = 120_000;
const retryMs = 200;
const attemptsMax = 20;

/** After these nobody knows whether it was done. */
const openCodes: ReadonlySet<ErrorCode> = new Set([
  'aborted',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'unavailable',
]);

/** Works whenever this manager leads: each change marks volumes, and what is marked is planned. */
export class VolumeKeeper implements AsyncDisposable {
  readonly #parts: VolumeKeeperParts;
  readonly #watch: Disposable;
  readonly #dirty = new Set<string>();
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #wakes = new Map<string, number>();
  #lead: AbortController | undefined;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;

  constructor(parts: VolumeKeeperParts) {
    this.#parts = parts;
    this.#watch = parts.store.onChange((batch) => this.#mark(batch));
  }

  setLeads(leads: boolean): void {
    if (leads === (this.#lead !== undefined)) return;
    this.#dirty.clear();
    this.#wakes.clear();
    this.#timer?.cancel();
    if (!leads) {
      this.#lead?.abort(new SwarmError('cancelled', 'this manager leads no more'));
      this.#lead = undefined;
      return;
    }
    this.#lead = new AbortController();
    this.#markAll();
    this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.setLeads(false);
    this.#watch[Symbol.dispose]();
    await this.#running;
    await Promise.all(this.#underWay.values());
  }

  /** The node says that it has let go of the volume. */
  released(nodeId: string, volumeId: string, publication: string): void {
    const change = (volume: ClusterVolume) => released(volume, { nodeId, publication });
    this.#track(`${volumeId}/${nodeId}/released`, this.#change(volumeId, change));
  }

  #mark({ events, restored }: ChangeBatch): void {
    if (this.#lead === undefined) return;
    if (restored) this.#markAll();
    for (const event of events) this.#markEvent(event);
    if (this.#dirty.size > 0) this.#run();
  }

  #markEvent(event: ObjectEvent): void {
    if (event.table === 'volume') this.#dirty.add(event.object.id);
    if (event.table === 'task') {
      for (const { id } of event.object.volumes ?? []) this.#dirty.add(id);
    }
    if (event.table === 'secret') this.#markAll();
    if (event.table !== 'node') return;
    const { old, object, action } = event;
    const isSame =
      action === 'update' &&
      old?.status.state === object.status.state &&
      old.description === object.description;
    if (!isSame) this.#markAll();
  }

  #markAll(): void {
    for (const { id } of this.#parts.store.volumes()) this.#dirty.add(id);
  }

  #run(): void {
    if (this.#lead === undefined || this.#running !== undefined) return;
    // The store tells of changes while it applies them: planning begins when it is done.
    this.#running = Promise.resolve()
      .then(() => this.#work())
      .finally(() => {
        this.#running = undefined;
        if (this.#dirty.size > 0) this.#run();
        else this.#setTimer();
      });
  }

  async #work(): Promise<void> {
    const { clock, log } = this.#parts;
    for (const id of this.#dirty) {
      this.#dirty.delete(id);
      if (this.#lead === undefined) return;
      try {
        if (!(await this.#plan(id))) this.#dirty.add(id);
      } catch (error) {
        // The log has no room, or no quorum: whoever leads next begins anew.
        log.warn('a volume could not be planned', { volumeId: id, error: messageOf(error) });
        this.#wakes.set(id, clock.nowMs() + retryMs);
      }
    }
  }

  /** False where the plan was overtaken. */
  async #plan(id: string): Promise<boolean> {
    const { store, clock, random } = this.#parts;
    const nowMs = clock.nowMs();
    const plan = planVolume(store, id, {
      nowMs,
      newPublication: () => random.id(),
      isUnderWay: (key) => this.#underWay.has(key),
    });
    const changes = [...plan.changes, ...waitingFor(store, id)];
    if (plan.wakeAtMs === undefined) this.#wakes.delete(id);
    else this.#wakes.set(id, plan.wakeAtMs);
    for (const call of plan.calls) this.#begin(call);
    if (changes.length === 0) return true;
    return (await store.propose(changes, { atMs: nowMs })).applied;
  }

  #begin(call: VolumeCall): void {
    const lead = this.#lead;
    if (lead !== undefined) this.#track(call.key, this.#carryOut(call, lead.signal));
  }

  #track(key: string, work: Promise<void>): void {
    const { log } = this.#parts;
    const tracked = work
      .catch((error: unknown) =>
        log.warn('what became of a volume could not be written', { key, error: messageOf(error) }),
      )
      .finally(() => {
        if (this.#underWay.get(key) === tracked) this.#underWay.delete(key);
        // What was planned meanwhile has left it alone.
        this.#dirty.add(key.split('/')[0] ?? '');
        this.#run();
      });
    this.#underWay.set(key, tracked);
  }

  async #carryOut(call: VolumeCall, lead: AbortSignal): Promise<void> {
    const { ask, clock, log, store } = this.#parts;
    const { kind, volume, through } = call;
    const told = { volume: volume.spec.name, driver: volume.spec.driver.name, kind, through };
    const late = new AbortController();
    const timer = clock.after(callTimeoutMs, () =>
      late.abort(new SwarmError('deadline-exceeded', `no answer within ${callTimeoutMs / 1000} s`)),
    );
    const onLost = () => late.abort(lead.reason);
    lead.addEventListener('abort', onLost, { once: true });
    try {
      const reply = await ask(through, requestOf(store, call), { signal: late.signal });
      log.info('a driver has done what it was asked', told);
      await this.#change(volume.id, (present) => succeeded(present, call, reply, clock.nowMs()));
    } catch (thrown) {
      if (lead.aborted) return;
      const { code, message } = SwarmError.from(thrown);
      log.warn('a driver has not done what it was asked', { ...told, code, error: message });
      const failure = { message, isOpen: openCodes.has(code), nowMs: clock.nowMs() };
      await this.#change(volume.id, (present) => failed(present, call, failure));
    } finally {
      timer.cancel();
      lead.removeEventListener('abort', onLost);
    }
  }

  /** Changes the volume as it is by then. One that is gone, or as it should be, is left alone. */
  async #change(
    id: string,
    change: (volume: ClusterVolume) => ClusterVolume | undefined,
  ): Promise<void> {
    const { store, clock } = this.#parts;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const present = store.volume(id);
      if (present === undefined || this.#lead === undefined) return;
      const next = change(present);
      if (next === present) return;
      const base = present.meta.version;
      const made: Change =
        next === undefined
          ? { op: 'delete', table: 'volume', id, base }
          : { op: 'put', table: 'volume', object: next, base };
      if ((await store.propose([made], { atMs: clock.nowMs() })).applied) return;
    }
    throw new SwarmError('aborted', 'it was changed by others again and again');
  }

  #setTimer(): void {
    this.#timer?.cancel();
    const { clock } = this.#parts;
    const firstMs = Math.min(Infinity, ...this.#wakes.values());
    if (this.#lead === undefined || firstMs === Infinity) return;
    this.#timer = clock.after(Math.max(0, firstMs - clock.nowMs()), () => {
      for (const [id, atMs] of this.#wakes) {
        if (atMs > clock.nowMs()) continue;
        this.#wakes.delete(id);
        this.#dirty.add(id);
      }
      if (this.#dirty.size > 0) this.#run();
      else this.#setTimer();
    });
  }
}

function messageOf(thrown: unknown): string {
  return SwarmError.from(thrown).message;
}
