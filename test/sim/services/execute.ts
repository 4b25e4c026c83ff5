/** Executes a program on a cluster in virtual time, and looks at everything as it goes. */
import { isDeepStrictEqual } from 'node:util';
import { seededRandom } from '../../../lib/random.ts';
import { explain } from '../../../manager/explain/index.ts';
import { planPass } from '../../../manager/reconcile/index.ts';
import type { Change, Store } from '../../../manager/store/index.ts';
import { cronLabels } from '../../../types/index.ts';
import { SimCluster, type SimClusterOptions } from '../../scenario/sim-cluster.ts';
import { fairWeather } from '../../scenario/sim-link.ts';
import { Scenario } from '../../scenario/scenario.ts';
import { Violation } from '../violation.ts';
import { applies } from './applies.ts';
import { replicasOf } from './autoscale-rules.ts';
import { imageLines } from './program.ts';
import { checkEmpty, checkQuiet } from './quiet.ts';
import { Rules } from './rules.ts';
import { checkMounts } from './volume-rules.ts';
import { images, jobPrefix, mended } from './words.ts';

const secondMs = 1_000;
const minuteMs = 60_000;
/** Longer than it takes an update that waits for each of its tasks in vain, one after the other. */
const calmMs = 120 * minuteMs;
/** Several windows of autoscaling. */
const steadyMs = 15 * minuteMs;

export interface Executed {
  /** The lines that did something, in order. */
  readonly lines: readonly string[];
  readonly entries: number;
  readonly checks: number;
  readonly refused: number;
  /** Equal for equal runs. */
  readonly digest: string;
}

/** What a program has led to. */
export interface Outcome extends Executed {
  readonly failure?: unknown;
}

export type ExecuteOptions = Pick<SimClusterOptions, 'distort' | 'seed' | 'isHasty'>;

/** Never throws: what goes wrong is part of the outcome. */
export async function execute(
  program: readonly string[],
  options: ExecuteOptions = {},
): Promise<Outcome> {
  const run = new Run(options);
  try {
    await run.execute(program);
    return run.executed;
  } catch (failure) {
    return { ...run.executed, failure };
  } finally {
    await run.end();
  }
}

class Run {
  readonly #cluster: SimCluster;
  readonly #scenario: Scenario;
  readonly #rules = new Rules();
  readonly #lines: string[] = [];
  #violation: unknown;
  #refused = 0;

  constructor(options: ExecuteOptions) {
    this.#cluster = new SimCluster(options);
    this.#scenario = new Scenario(this.#cluster);
    this.#cluster.onRefusal = () => {
      this.#refused += 1;
    };
  }

  get executed(): Executed {
    const { store } = this.#cluster;
    return {
      lines: this.#lines,
      entries: store.index,
      checks: this.#rules.checks,
      refused: this.#refused,
      digest: store.digest(),
    };
  }

  async execute(program: readonly string[]): Promise<void> {
    await this.#scenario.start();
    this.#cluster.onChange((batch) => {
      if (this.#violation !== undefined) return;
      try {
        this.#rules.changed(batch, this.#cluster.store);
        checkMounts(this.#cluster);
      } catch (error) {
        this.#violation = error;
      }
    });
    for (const line of imageLines(program)) await this.#scenario.execute(line);
    for (const line of program) {
      if (!applies(line, this.#cluster)) continue;
      this.#lines.push(line);
      await this.#scenario.execute(line);
      this.#check();
    }
    await this.#calm();
    await this.#tickLess();
    await this.#cluster.run(calmMs);
    this.#check();
    await this.#checkSteady();
    await this.#untilBetweenTicks();
    this.#checkQuiet();
    await this.#checkNewLeader();
    await this.#removeAll();
  }

  async end(): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  #check(): void {
    if (this.#violation !== undefined) throw this.#violation as Error;
    const [fault] = this.#cluster.store.audit();
    if (fault !== undefined) throw new Violation('indexes', fault);
  }

  /** Nothing fails any more: every host is back, every image works, every message arrives. */
  async #calm(): Promise<void> {
    const cluster = this.#cluster;
    await cluster.settle();
    cluster.link.weather = fairWeather;
    cluster.array.failing = 0;
    for (const name of Object.keys(images)) {
      await this.#scenario.execute(`image ${name} ${mended.join(' ')}`);
      await this.#scenario.execute(`image ${jobPrefix}${name} ${mended.join(' ')} exit=0 after=1s`);
    }
    for (const [id, worker] of cluster.workers) {
      worker.slowness = 1;
      if (cluster.store.node(id)?.status.state !== 'ready') cluster.restore(id);
      else worker.sync();
    }
    await cluster.settle();
  }

  /** What ticks each few seconds is never quiet: from now on it ticks each minute. */
  async #tickLess(): Promise<void> {
    const label = cronLabels.schedule;
    for (const { spec } of this.#cluster.store.services()) {
      if (spec.labels[label]?.startsWith('*/20') !== true) continue;
      this.#cluster.updateService(spec.name, (present) => ({
        ...present,
        labels: { ...present.labels, [label]: '*/10 * * * *' },
      }));
    }
    await this.#cluster.settle();
  }

  /** Under a load that stays as it is, so does the number of replicas. */
  async #checkSteady(): Promise<void> {
    const services = () => this.#cluster.store.services();
    const before = new Map([...services()].map((service) => [service.id, replicasOf(service)]));
    await this.#cluster.run(steadyMs);
    this.#check();
    for (const service of services()) {
      const [was, is] = [before.get(service.id), replicasOf(service)];
      if (was === is) continue;
      const what = `${service.spec.name} goes from ${was} to ${is} under the same load`;
      throw new Violation('a steady load has a steady number', what);
    }
  }

  async #untilBetweenTicks(): Promise<void> {
    const overMs = this.#cluster.clock.nowMs() % minuteMs;
    await this.#cluster.run(minuteMs - overMs + 40 * secondMs);
    this.#check();
  }

  #checkQuiet(): void {
    const { store, managerMs } = this.#cluster;
    checkQuiet(this.#cluster);
    this.#checkReasons(store);
    const keys = {
      services: [...store.services()].map(({ id }) => id),
      nodes: [...store.nodes()].map(({ id }) => id),
      attachments: [],
      retryUnassigned: true,
    };
    const plan = planPass(store, keys, { nowMs: managerMs, random: seededRandom(9) });
    const [change] = plan.changes;
    if (change === undefined) return;
    const what = `${plan.changes.length} changes, the first: ${describe(change, store)}`;
    throw new Violation('at rest there is nothing to plan', what);
  }

  #checkReasons(store: Store): void {
    for (const { id, spec } of store.services()) {
      const told = explain(store, id, { nowMs: this.#cluster.managerMs });
      if (told.service !== undefined) continue;
      throw new Violation('everything is explained', `nothing is told of ${spec.name}`);
    }
  }

  /** Who takes over finds nothing to do. */
  async #checkNewLeader(): Promise<void> {
    const { index } = this.#cluster.store;
    await this.#cluster.changeLeader();
    await this.#cluster.run(secondMs);
    if (this.#cluster.store.index === index) return;
    const what = `it made ${this.#cluster.store.index - index} entries`;
    throw new Violation('a new leader finds nothing to do at rest', what);
  }

  async #removeAll(): Promise<void> {
    for (const { spec } of this.#cluster.store.services()) {
      this.#cluster.removeService(spec.name);
    }
    await this.#cluster.run(5 * minuteMs);
    this.#check();
    checkEmpty(this.#cluster);
  }
}

/** What the change makes different. */
function describe(change: Change, store: Store): string {
  if (change.op !== 'put' || change.table !== 'service')
    return JSON.stringify(change).slice(0, 500);
  const { object } = change;
  const old = { ...store.service(object.id) };
  const keys = Object.keys({ ...old, ...object }) as (keyof typeof object)[];
  const differing = keys.filter((key) => !isDeepStrictEqual(old[key], object[key]));
  const told = differing.map((key) => {
    return `${key} from ${JSON.stringify(old[key])} to ${JSON.stringify(object[key])}`;
  });
  return `${object.spec.name}: ${told.join('; ')}`;
}
