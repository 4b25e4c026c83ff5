/** What must hold of the number of replicas of a service that is autoscaled. */
import type { ChangeBatch, ObjectEvent } from '../../../manager/store/index.ts';
import { autoscaleLabel, autoscaleOf, type Service } from '../../../types/index.ts';
import { Violation } from '../violation.ts';

/** Two leaders' clocks differ by no more. */
const skewMs = 5_000;

export class AutoscaleRules {
  /** When the service last grew by its load, by its id. */
  readonly #grownAtMs = new Map<string, number>();

  /** Throws Violation. */
  changed({ events }: ChangeBatch): void {
    for (const event of events) if (event.table === 'service') this.#check(event);
  }

  #check({ action, object, old }: ObjectEvent & { table: 'service' }): void {
    const settings = autoscaleOf(object.spec);
    const isSame = textOf(object) === textOf(old);
    if (action === 'remove' || settings === undefined || !isSame) this.#grownAtMs.delete(object.id);
    if (action === 'remove' || settings === undefined) return;
    const { name } = object.spec;
    const replicas = replicasOf(object);
    if (replicas < settings.min || replicas > settings.max) {
      const what = `${name} has ${replicas} replicas`;
      throw new Violation('autoscaling keeps to its bounds', what);
    }
    // Who changes the settings may change the number with them.
    if (old === undefined || !isSame || replicasOf(old) === replicas) return;
    const { from, to, atMs = 0 } = object.autoscale?.scaled ?? {};
    const isDecided = from === replicasOf(old) && to === replicas;
    if (!isDecided || atMs === old.autoscale?.scaled?.atMs) {
      const what = `${name} goes from ${replicasOf(old)} to ${replicas}, and was scaled from ${from} to ${to}`;
      throw new Violation('each step is decided once', what);
    }
    if (replicas > replicasOf(old)) {
      this.#grownAtMs.set(object.id, atMs);
      return;
    }
    const grownMs = atMs - (this.#grownAtMs.get(object.id) ?? -Infinity);
    if (grownMs >= settings.windowMs - skewMs) return;
    const what = `${name} shrinks ${grownMs / 1000} s after it grew, and its window is ${settings.windowMs / 1000} s`;
    throw new Violation('what has grown stays for its window', what);
  }
}

function textOf(service: Service | undefined): string | undefined {
  return service?.spec.labels[autoscaleLabel];
}

export function replicasOf({ spec }: Service): number {
  return spec.mode.replicated?.replicas ?? 0;
}
