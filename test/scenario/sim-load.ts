/** What services have to do, shared evenly by their replicas, as nodes would measure it. */
import type { AutoscalerParts } from '../../manager/autoscaler/index.ts';
import type { Store } from '../../manager/store/index.ts';
import type { VirtualClock } from '../../lib/clock.ts';

type Nodes = AutoscalerParts['nodes'];
type Listener = Parameters<Nodes['onMeasured']>[0];
type Measured = NonNullable<Parameters<Listener>[1]['tasks']>[number];

export class SimLoad implements Nodes {
  readonly #store: () => Store;
  readonly #clock: VirtualClock;
  /** In cores, by the service's name; nobody measures a service that is not there. */
  readonly #loads = new Map<string, number>();
  readonly #used = new Map<string, { ns: number; atMs: number }>();
  #listener: Listener | undefined;

  /** `store`: of whichever manager leads. */
  constructor(store: () => Store, clock: VirtualClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Undefined: its nodes are silent from now on. */
  set(service: string, cores: number | undefined): void {
    if (cores === undefined) this.#loads.delete(service);
    else this.#loads.set(service, cores);
  }

  onMeasured(listener: Listener): Disposable {
    this.#listener = listener;
    return { [Symbol.dispose]: () => (this.#listener = undefined) };
  }

  measure(nodeId: string, { usageOf = [] }: Parameters<Nodes['measure']>[1]): void {
    const tasks = usageOf.flatMap((id) => this.#measured(id) ?? []);
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
    const atMs = this.#clock.monotonicMs();
    const before = this.#used.get(taskId) ?? { ns: 0, atMs };
    const ns = before.ns + (load / running.length) * (atMs - before.atMs) * 1e6;
    this.#used.set(taskId, { ns, atMs });
    return { taskId, atMs, cpuNs: ns };
  }
}
