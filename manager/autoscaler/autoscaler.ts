/**
 * The shell around the plans: on the leader, asks nodes and Prometheus servers at each service's
 * pace, and writes down what follows. Decisions are in the store, on the version that they were
 * made on: a leader that is one no more can make none, and the next goes on from what is there.
 */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { Recurring } from '../../lib/recurring.ts';
import {
  autoscaleLabel,
  autoscaleOf,
  type AutoscaleSettings,
  type QueryTarget,
  type RequestCounter,
  type Service,
} from '../../types/index.ts';
import type { MeasureRequest } from '../dispatcher/index.ts';
import type { Change } from '../store/change.ts';
import type { ApplyResult } from '../store/log.ts';
import type { StoreView } from '../store/view.ts';
import type { QueryAnswer } from './load.ts';
import { Meter, type Measurements } from './meter.ts';
import { paceOf } from './pace.ts';
import { planAutoscale, type Memory } from './plan.ts';
import { askPrometheus, fetchText, type Fetch } from './prometheus.ts';

export interface AutoscalerParts {
  readonly store: Pick<StoreView, 'services' | 'service' | 'task' | 'tasksOfService'> & {
    readonly isLeader: boolean;
    propose(changes: readonly Change[], options: { readonly atMs: number }): Promise<ApplyResult>;
  };
  readonly nodes: {
    measure(nodeId: string, request: MeasureRequest): void;
    onMeasured(listener: (nodeId: string, measured: Measurements) => void): Disposable;
  };
  /** Absent: the network. */
  readonly fetch?: Fetch;
  readonly clock: Clock;
  readonly log: Logger;
}

const tickMs = 500;
/** What nodes and servers are asked for is there by then, or is left to the next time. */
const answerMs = 400;
/** Replicas' own pages are others' programs: nodes wait for them for so long, and a little more. */
const pagesMs = 900;
const queryTimeoutMs = 5_000;

/** What a leader has of one service. */
interface Watch {
  /** Another text is another matter: all that was measured before says nothing of it. */
  readonly text: string;
  askAtMs: number;
  planAtMs: number;
  memory?: Memory;
  query?: { readonly answer: QueryAnswer; readonly heardMs: number };
  isAsking?: boolean;
}

export class Autoscaler implements AsyncDisposable {
  readonly #parts: AutoscalerParts;
  readonly #work: Recurring;
  readonly #meter = new Meter();
  readonly #watches = new Map<string, Watch>();
  readonly #queries = new Set<Promise<void>>();
  #measured: Disposable | undefined;

  constructor(parts: AutoscalerParts) {
    this.#parts = parts;
    const { store, clock, log } = parts;
    this.#work = new Recurring({
      restMs: () => tickMs,
      round: async () => {
        if (store.isLeader) await this.#tick();
        else this.#watches.clear();
      },
      onFailure: (error) =>
        log.warn('services could not be scaled by their load', { error: messageOf(error) }),
      clock,
    });
  }

  start(): void {
    const { nodes, store, clock } = this.#parts;
    this.#measured ??= nodes.onMeasured((nodeId, measured) => {
      const isOf = (taskId: string) => store.task(taskId)?.nodeId === nodeId;
      this.#meter.take(measured, clock.monotonicMs(), isOf);
    });
    this.#work.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
    this.#measured?.[Symbol.dispose]();
    await Promise.all(this.#queries);
  }

  async #tick(): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    const scaled = this.#scaled();
    for (const { service, settings } of scaled) {
      const watch = this.#watches.get(service.id);
      if (watch !== undefined && watch.planAtMs <= nowMs) {
        watch.planAtMs = Infinity;
        await this.#plan(service.id, settings, watch);
      }
    }
    const due = scaled.filter(({ service }) => this.#watchOf(service, nowMs).askAtMs <= nowMs);
    if (due.length === 0) return;
    for (const { service, settings } of due) {
      const watch = this.#watchOf(service, nowMs);
      watch.askAtMs = nowMs + paceOf(settings).sampleMs;
      const hasPages = settings.targets.some(({ metric }) => metric === 'requests');
      watch.planAtMs = nowMs + (hasPages ? pagesMs : answerMs);
      const query = settings.targets.find((one) => one.metric === 'prometheus');
      if (query !== undefined) this.#ask(query, watch);
    }
    this.#measure(scaled, due);
  }

  /** Each service that is scaled; those that are no longer are forgotten. */
  #scaled(): Scaled[] {
    const scaled = [...this.#parts.store.services()].flatMap((service) => {
      if (service.spec.labels[autoscaleLabel] === undefined) return [];
      const settings = autoscaleOf(service.spec);
      const isReplicated = service.spec.mode.replicated !== undefined;
      return settings === undefined || !isReplicated ? [] : [{ service, settings }];
    });
    const ids = new Set(scaled.map(({ service }) => service.id));
    for (const id of this.#watches.keys()) if (!ids.has(id)) this.#watches.delete(id);
    return scaled;
  }

  #watchOf({ id, spec }: Service, nowMs: number): Watch {
    const text = spec.labels[autoscaleLabel] ?? '';
    const known = this.#watches.get(id);
    if (known?.text === text) return known;
    const watch = { text, askAtMs: nowMs, planAtMs: Infinity };
    this.#watches.set(id, watch);
    return watch;
  }

  /** One request to each node that runs tasks of the services that are due. */
  #measure(scaled: readonly Scaled[], due: readonly Scaled[]): void {
    const { store, nodes } = this.#parts;
    const isDue = new Set(due.map(({ service }) => service.id));
    const watched = new Set<string>();
    const requests = new Map<string, NodeRequest>();
    for (const { service, settings } of scaled) {
      const metrics = settings.targets.map(({ metric }) => metric);
      const isUsed = metrics.includes('cpu') || metrics.includes('memory');
      const isOpen = metrics.includes('connections') || metrics.includes('connection-rate');
      const counter = settings.targets.find((target) => target.metric === 'requests');
      if (!isUsed && !isOpen && counter === undefined) continue;
      for (const { id, nodeId, status } of store.tasksOfService(service.id)) {
        if (status.state !== 'running') continue;
        watched.add(id);
        if (!isDue.has(service.id)) continue;
        const request = requests.get(nodeId) ?? { usageOf: [], connectionsOf: [], requestsOf: [] };
        requests.set(nodeId, request);
        if (isUsed) request.usageOf.push(id);
        if (isOpen) request.connectionsOf.push(id);
        if (counter !== undefined) {
          const { port, path, counter: name } = counter;
          request.requestsOf.push({ taskId: id, port, path, counter: name });
        }
      }
    }
    this.#meter.expect(watched);
    for (const [nodeId, request] of requests) nodes.measure(nodeId, request);
  }

  /** One question at a time for each service. */
  #ask(query: QueryTarget, watch: Watch): void {
    if (watch.isAsking === true) return;
    const { clock, fetch = fetchText } = this.#parts;
    const late = new AbortController();
    const timer = clock.after(queryTimeoutMs, () => {
      late.abort(new Error(`nothing within ${queryTimeoutMs / 1000} s`));
    });
    const onStop = () => late.abort();
    this.#work.signal.addEventListener('abort', onStop, { once: true });
    watch.isAsking = true;
    const asking = askPrometheus(query, fetch, { signal: late.signal })
      .then((answer) => {
        watch.query = { answer, heardMs: clock.monotonicMs() };
      })
      .finally(() => {
        watch.isAsking = false;
        timer.cancel();
        this.#work.signal.removeEventListener('abort', onStop);
        this.#queries.delete(asking);
      });
    this.#queries.add(asking);
  }

  async #plan(id: string, settings: AutoscaleSettings, watch: Watch): Promise<void> {
    const { store, clock, log } = this.#parts;
    const service = store.service(id);
    if (service === undefined) return;
    const sinceMs = clock.monotonicMs() - paceOf(settings).staleMs;
    const { query } = watch;
    const nowMs = clock.nowMs();
    const plan = planAutoscale({
      service,
      tasks: store.tasksOfService(id),
      readings: {
        sample: (task) => this.#meter.sample(task.id, sinceMs),
        // An answer that took long is as old as when it came; one more period is its due.
        query:
          query !== undefined && query.heardMs >= sinceMs - queryTimeoutMs
            ? query.answer
            : undefined,
      },
      memory: watch.memory,
      nowMs,
    });
    watch.memory = plan.memory;
    if (plan.service === undefined) return;
    const { autoscale } = plan.service;
    const base = service.meta.version;
    const change: Change = { op: 'put', table: 'service', object: plan.service, base };
    const result = await store.propose([change], { atMs: nowMs });
    if (!result.applied) return;
    const told = { service: service.spec.name, ...autoscale?.scaled };
    if (service.spec === plan.service.spec) {
      log.info('autoscaling stands otherwise', { ...told, ...autoscale });
    } else log.info('autoscaled', told);
  }
}

interface NodeRequest {
  readonly usageOf: string[];
  readonly connectionsOf: string[];
  readonly requestsOf: (RequestCounter & { readonly taskId: string })[];
}

interface Scaled {
  readonly service: Service;
  readonly settings: AutoscaleSettings;
}
