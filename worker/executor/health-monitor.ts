/** Runs one container's health check, over and over, until it is stopped. */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import {
  afterProbe,
  probeDelayMs,
  type HealthState,
  type ResolvedHealthCheck,
} from '../task/index.ts';
import type { Limiter } from './limiter.ts';

export interface HealthMonitorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: Runtime;
  /** Shared by all containers of the node. */
  readonly probes: Limiter;
}

export class HealthMonitor {
  readonly #containerId: string;
  readonly #check: ResolvedHealthCheck;
  readonly #deps: HealthMonitorDeps;
  readonly #onChange: () => void;
  #state: HealthState;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    options: {
      readonly containerId: string;
      readonly check: ResolvedHealthCheck;
      readonly initial: HealthState;
      readonly onChange: () => void;
    },
    deps: HealthMonitorDeps,
  ) {
    this.#containerId = options.containerId;
    this.#check = options.check;
    this.#state = options.initial;
    this.#onChange = options.onChange;
    this.#deps = deps;
    this.#schedule();
  }

  get health(): HealthState['health'] {
    return this.#state.health;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#stopped || this.#state.health === 'unhealthy') return;
    const { clock } = this.#deps;
    const delayMs = probeDelayMs(this.#state, this.#check, clock.nowMs());
    this.#timer = clock.after(delayMs, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    const { clock, log, probes } = this.#deps;
    const { passed, output } = await probes.run(() => this.#run());
    if (this.#stopped) return;
    const before = this.#state;
    this.#state = afterProbe(before, this.#check, { passed, atMs: clock.nowMs() });
    if (!passed) {
      const { failingStreak } = this.#state;
      log.info('a health check failed', { containerId: this.#containerId, failingStreak, output });
    }
    if (this.#state.health !== before.health) this.#onChange();
    this.#schedule();
  }

  async #run(): Promise<{ passed: boolean; output: string }> {
    if (this.#stopped) return { passed: false, output: '' };
    try {
      const { exitCode, output, timedOut } = await this.#deps.runtime.exec(this.#containerId, {
        argv: this.#check.argv,
        timeoutMs: this.#check.timeoutMs,
      });
      return { passed: exitCode === 0 && !timedOut, output };
    } catch (error) {
      return { passed: false, output: messageOf(error) };
    }
  }
}
