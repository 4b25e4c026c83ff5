/** Runs one container's health check, over and over, until it is stopped. */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Semaphore } from '../../lib/concurrency.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Runtime } from '../runtime/runtime.ts';
import {
  afterProbe,
  probeDelayMs,
  type HealthState,
  type ResolvedHealthCheck,
} from '../task/index.ts';

interface Probe {
  readonly startMs: number;
  readonly endMs: number;
  readonly passed: boolean;
  readonly exitCode: number;
  readonly output: string;
}

export interface HealthMonitorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: Runtime;
  /** Shared by all containers of the node. */
  readonly probes: Semaphore;
}

/** Starting many at once is what costs; one that hangs then is not to hold up those of others. */
const turnMs = 1_000;

/** Docker's, of a check that never came to an end of its own. */
const noExitCode = -1;

export class HealthMonitor {
  readonly #containerId: string;
  readonly #check: ResolvedHealthCheck;
  readonly #deps: HealthMonitorDeps;
  readonly #onChange: (health: HealthState['health']) => void;
  readonly #onProbe: (probe: Probe) => void;
  readonly #goesOn: boolean;
  #state: HealthState;
  #timer: Timer | undefined;
  #stopped = false;
  /** Counts what makes a probe under way of no interest. */
  #turn = 0;

  constructor(
    options: {
      readonly containerId: string;
      readonly check: ResolvedHealthCheck;
      readonly initial: HealthState;
      readonly onChange: (health: HealthState['health']) => void;
      /** Before `onChange`. */
      readonly onProbe?: (probe: Probe) => void;
      /** Also once it is unhealthy: nobody will end it for that. */
      readonly goesOn?: boolean;
    },
    deps: HealthMonitorDeps,
  ) {
    this.#containerId = options.containerId;
    this.#check = options.check;
    this.#state = options.initial;
    this.#onChange = options.onChange;
    this.#onProbe = options.onProbe ?? (() => undefined);
    this.#goesOn = options.goesOn ?? false;
    this.#deps = deps;
    this.#schedule();
  }

  get health(): HealthState['health'] {
    return this.#state.health;
  }

  get failingStreak(): number {
    return this.#state.failingStreak;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** What does not run on cannot answer: its health stays as it is, until `resume`. */
  pause(): void {
    this.#turn += 1;
    this.#timer?.cancel();
  }

  resume(): void {
    this.pause();
    this.#schedule();
  }

  /** Nobody wants to know any more what a probe of this turn finds. */
  #isOff(turn: number): boolean {
    return this.#stopped || turn !== this.#turn;
  }

  #schedule(): void {
    if (this.#stopped || (this.#state.health === 'unhealthy' && !this.#goesOn)) return;
    const { clock } = this.#deps;
    const delayMs = probeDelayMs(this.#state, this.#check, clock.nowMs());
    this.#timer = clock.after(delayMs, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    const { clock, log } = this.#deps;
    const turn = this.#turn;
    const probe = await this.#runInTurn(turn);
    const { passed, output } = probe;
    if (this.#isOff(turn)) return;
    const before = this.#state;
    this.#state = afterProbe(before, this.#check, { passed, atMs: clock.nowMs() });
    if (!passed) {
      const { failingStreak } = this.#state;
      log.info('a health check failed', { containerId: this.#containerId, failingStreak, output });
    }
    this.#onProbe(probe);
    if (this.#state.health !== before.health) this.#onChange(this.#state.health);
    this.#schedule();
  }

  async #runInTurn(turn: number): Promise<Probe> {
    const { clock, probes } = this.#deps;
    const { running } = await probes.run(async () => {
      const over = Promise.withResolvers<void>();
      const timer = clock.after(turnMs, over.resolve);
      const started = this.#run(turn);
      await Promise.race([started, over.promise]);
      timer.cancel();
      return { running: started };
    });
    return running;
  }

  async #run(turn: number): Promise<Probe> {
    const { clock, runtime } = this.#deps;
    const startMs = clock.nowMs();
    const probe = (passed: boolean, exitCode: number, output: string): Probe => ({
      startMs,
      endMs: clock.nowMs(),
      passed,
      exitCode,
      output,
    });
    if (this.#isOff(turn)) return probe(false, noExitCode, '');
    try {
      const { argv, timeoutMs } = this.#check;
      const { exitCode, output, timedOut } = await runtime.exec(this.#containerId, {
        argv,
        timeoutMs,
      });
      if (!timedOut) return probe(exitCode === 0, exitCode, output);
      return probe(false, noExitCode, `Health check exceeded timeout (${timeoutMs / 1000}s)`);
    } catch (error) {
      return probe(false, noExitCode, messageOf(error));
    }
  }
}
