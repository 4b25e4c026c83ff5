/** What works on the manager that leads, besides its reconciler: the autoscaler, and the volumes' keeper. */
import { silentLogger } from '../../lib/log.ts';
import type { Clock, VirtualClock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { Autoscaler } from '../../manager/autoscaler/index.ts';
import type { Control } from '../../manager/control/index.ts';
import { VolumeKeeper } from '../../manager/csi/index.ts';
import type { Reconciler, ReconcileStore } from '../../manager/reconcile/index.ts';
import type { Store } from '../../manager/store/index.ts';
import type { MemoryLog } from '../../manager/store/memory-log.ts';
import { isWanted } from '../../types/index.ts';
import { SimLoad, type LoadOfService } from './sim-load.ts';
import { SimArray } from './sim-storage.ts';

/** One that leads. */
export interface Manager {
  readonly log: MemoryLog;
  readonly store: Store;
  readonly control: Control;
  readonly reconciler: Reconciler;
}

interface SimLoopsParts {
  /** Of whichever manager leads. */
  readonly store: () => Store;
  /** The store as the autoscaler sees it. */
  readonly distort: (store: Store) => ReconcileStore;
  /** Volumes are not waited for that tasks use which are to stop: a planted bug. */
  readonly isHasty: boolean;
  readonly clock: VirtualClock;
  readonly random: Random;
}

export class SimLoops {
  readonly array: SimArray;
  readonly #parts: SimLoopsParts;
  readonly #load: SimLoad;
  /** The leader's clock; absent while nobody leads. */
  #clock: Clock | undefined;
  #keeper: VolumeKeeper | undefined;
  /** There once a service is under a load. */
  #autoscaler: Autoscaler | undefined;
  #isLoaded = false;

  constructor(parts: SimLoopsParts) {
    this.#parts = parts;
    this.array = new SimArray(parts.clock, parts.random);
    this.#load = new SimLoad(parts.store, parts.clock);
  }

  /** Somebody leads, whose clock it is. */
  start(clock: Clock): void {
    this.#clock = clock;
    const { store, random, isHasty } = this.#parts;
    this.#keeper = new VolumeKeeper({
      store: isHasty ? withoutStopping(store()) : store(),
      ask: this.array.ask,
      clock,
      random,
      log: silentLogger,
    });
    this.#keeper.setLeads(true);
    if (this.#isLoaded) this.#startAutoscaler(clock);
  }

  async stop(): Promise<void> {
    this.#clock = undefined;
    await this.#autoscaler?.[Symbol.asyncDispose]();
    await this.#keeper?.[Symbol.asyncDispose]();
    this.#autoscaler = undefined;
    this.#keeper = undefined;
  }

  /** What the service has to do; undefined: nodes say nothing of it. */
  load(name: string, load: LoadOfService | undefined): void {
    this.#load.set(name, load);
    this.#isLoaded = true;
    if (this.#autoscaler === undefined && this.#clock !== undefined) {
      this.#startAutoscaler(this.#clock);
    }
  }

  /** A node says that it has let go of a volume; nobody hears it while nobody leads. */
  released(nodeId: string, volumeId: string, publication: string): void {
    this.#keeper?.released(nodeId, volumeId, publication);
  }

  #startAutoscaler(clock: Clock): void {
    // Whatever distorts the store leaves what it does not know of as it is.
    const store = this.#parts.distort(this.#parts.store()) as Store;
    this.#autoscaler = new Autoscaler({ store, clock, nodes: this.#load, log: silentLogger });
    this.#autoscaler.start();
  }
}

/** Who is to stop holds no volume. */
function withoutStopping(store: Store): Store {
  const tasksOfVolume = (id: string) =>
    [...store.tasksOfVolume(id)].filter(({ desiredState }) => isWanted(desiredState));
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'tasksOfVolume') return tasksOfVolume;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
