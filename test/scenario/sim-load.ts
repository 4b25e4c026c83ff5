/** What services have to do, shared evenly by their replicas, as nodes would measure it. */
import type { AutoscalerParts } from '../../manager/autoscaler/index.ts';
import type { Store } from '../../manager/store/index.ts';
import type { VirtualClock } from '../../lib/clock.ts';

type Nodes = AutoscalerParts['nodes'];
type Listener = Parameters<Nodes['onMeasured']>[0];
type Measured = NonNullable<Parameters<Listener>[1]['tasks']>[number];

/** What all replicas of a service have to do together. */
export interface LoadOfService {
  readonly cores?: number;
  /** Requests a second, which each replica counts on a page of its own. */
  readonly requests?: number;
  /** A replica does no more than so many cores, or requests a second. */
  readonly most?: number;
  /** What nodes hear instead of the page. */
  readonly problem?: string;
}

/** Of a task, since it was first measured. */
interface Counted {
  readonly atMs: number;
  readonly ns: number;
  readonly requests: number;
}

export class SimLoad implements Nodes {
  readonly #store: () => Store;
  readonly #clock: VirtualClock;
  /** By the service's name; nobody measures a service that is not there. */
  readonly #loads = new Map<string, LoadOfService>();
  readonly #counted = new Map<string, Counted>();
  #listener: Listener | undefined;

  /** `store`: of whichever manager leads. */
  constructor(store: () => Store, clock: VirtualClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Undefined: its nodes are silent from now on. */
  set(service: string, load: LoadOfService | undefined): void {
    if (load === undefined) this.#loads.delete(service);
    else this.#loads.set(service, load);
  }

  onMeasured(listener: Listener): Disposable {
    this.#listener = listener;
    return { [Symbol.dispose]: () => (this.#listener = undefined) };
  }

  measure(
    nodeId: string,
    { usageOf = [], requestsOf = [] }: Parameters<Nodes['measure']>[1],
  ): void {
    const ids = new Set([...usageOf, ...requestsOf.map(({ taskId = '' }) => taskId)]);
    const tasks = [...ids].flatMap((id) => this.#measured(id) ?? []);
    this.#listener?.(nodeId, { tasks });
  }

  #measured(taskId: string): Measured | undefined {
    const store = this.#store();
    const { serviceId = '', serviceName = '' } = store.task(taskId) ?? {};
    const load = this.#loads.get(serviceName);
    if (load === undefined) return undefined;
    const running = [...store.tasksOfService(serviceId)].filter(
      ({ status }) => status.state === 'running',
    );
    const { cores = 0, requests = 0, most = Infinity, problem } = load;
    const atMs = this.#clock.monotonicMs();
    const before = this.#counted.get(taskId) ?? { atMs, ns: 0, requests: 0 };
    const rate = (all: number) => Math.min(most, all / running.length);
    const counted = {
      atMs,
      ns: before.ns + rate(cores) * (atMs - before.atMs) * 1e6,
      requests: before.requests + (rate(requests) * (atMs - before.atMs)) / 1e3,
    };
    this.#counted.set(taskId, counted);
    const page =
      problem === undefined
        ? { requests: counted.requests, requestsAtMs: atMs }
        : { requestsProblem: problem };
    return { taskId, atMs, cpuNs: counted.ns, ...page };
  }
}
