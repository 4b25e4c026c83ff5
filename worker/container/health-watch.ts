/** A container's health, with the last results: what `inspect` shows. */
import { HealthMonitor, type HealthMonitorDeps } from '../executor/health-monitor.ts';
import { initialHealth } from '../task/index.ts';
import { healthCheckOf } from './runtime-config.ts';
import type { ContainerRecord, HealthResult, HealthView } from './view.ts';

export type HealthWatchDeps = HealthMonitorDeps;

const resultsMax = 5;

export class HealthWatch {
  readonly #monitor: HealthMonitor;
  #log: readonly HealthResult[] = [];

  private constructor(make: (onProbe: (result: HealthResult) => void) => HealthMonitor) {
    this.#monitor = make((result) => {
      this.#log = [...this.#log, result].slice(-resultsMax);
    });
  }

  /** Nothing where the container has no check. */
  static of(
    { id, config }: ContainerRecord,
    deps: HealthWatchDeps,
    onChange: (status: HealthView['status']) => void,
  ): HealthWatch | undefined {
    const check = healthCheckOf(config);
    if (check === undefined) return undefined;
    const watch: HealthWatch = new HealthWatch(
      (onProbe) =>
        new HealthMonitor(
          {
            containerId: id,
            check,
            initial: initialHealth(deps.clock.nowMs()),
            onProbe,
            onChange: () => onChange(watch.view.status),
            goesOn: true,
          },
          deps,
        ),
    );
    return watch;
  }

  get view(): HealthView {
    const { health, failingStreak } = this.#monitor;
    return { status: health, failingStreak, log: this.#log };
  }

  stop(): void {
    this.#monitor.stop();
  }

  pause(): void {
    this.#monitor.pause();
  }

  resume(): void {
    this.#monitor.resume();
  }
}
