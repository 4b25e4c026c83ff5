/** Bugs that are put in from the outside, to show that the rules find them. */
import type { ReconcileStore } from '../../../manager/reconcile/index.ts';
import {
  attachmentsOf,
  publishesIngress,
  type Change,
  type NodeUsage,
  type Store,
} from '../../../manager/store/index.ts';
import {
  allowPrivilegedLabel,
  autoscaleLabel,
  type Cluster,
  type ClusterVolume,
  type GenericResource,
  type Node,
  type Service,
  type ServiceSpec,
} from '../../../types/index.ts';

/** Another view of the objects, and another list of changes than the planners have made. */
interface Lie {
  readonly service?: (service: Service, store: Store) => Service;
  readonly node?: (node: Node) => Node;
  readonly usage?: (usage: NodeUsage) => NodeUsage;
  readonly volume?: (volume: ClusterVolume) => ClusterVolume;
  readonly cluster?: (cluster: Cluster) => Cluster;
  readonly change?: (change: Change, store: Store) => Change;
}

type Planted = (store: Store) => ReconcileStore;

export const planted = {
  'an update takes one more at once than it may': () => widened('updateConfig'),
  'a rollback takes one more at once than it may': () => widened('rollbackConfig'),
  'what a service has on a node counts for nothing': () =>
    lying({ usage: (usage) => ({ ...usage, activeByService: new Map(), activeTasks: 0 }) }),
  'reservations count for nothing': () =>
    lying({ usage: (usage) => ({ ...usage, nanoCpus: 0, memoryBytes: 0 }) }),
  "a host's ports are all free": () =>
    lying({ usage: (usage) => ({ ...usage, hostPorts: new Set() }) }),
  'a device is given again': () =>
    lying({ change: (change) => withGeneric(change, [{ named: { kind: 'gpu', value: 'g0' } }]) }),
  'a virtual address is kept by who leaves the network': () =>
    lying({
      service: (service) => {
        const { virtualIps: _kept, ...rest } = service;
        return isApart(service.spec) ? rest : service;
      },
      change: (change, store) => {
        if (change.op !== 'put' || change.table !== 'service') return change;
        const { virtualIps } = store.service(change.object.id) ?? {};
        if (virtualIps === undefined || !isApart(change.object.spec)) return change;
        return { ...change, object: { ...change.object, virtualIps } };
      },
    }),
  'a new leader begins the last tick again': () => {
    let leaders = 0;
    return (store) => {
      // Once: whoever went on with it would never come to an end.
      const first = new Map<string, number>();
      const isFirst = ({ id, jobStatus }: Service) => {
        const iteration = jobStatus?.iteration ?? 0;
        if (!first.has(id)) first.set(id, iteration);
        return first.get(id) === iteration;
      };
      const isNew = leaders++ > 0;
      return lying({ service: (one) => (isNew && isFirst(one) ? asBefore(one) : one) })(store);
    };
  },
  'a job is done once more than asked': () =>
    lying({ service: withOneMore, change: (change) => restored(change) }),
  'the delay before a restart is left out': () =>
    lying({
      change: (change) => {
        if (change.op !== 'put' || change.table !== 'task') return change;
        const { startAtMs: _delay, ...rest } = change.object;
        if (rest.desiredState !== 'ready' || change.base !== 0) return change;
        const desiredState = rest.jobIteration === undefined ? 'running' : 'complete';
        return { ...change, object: { ...rest, desiredState } };
      },
    }),
  'a drained node takes tasks': () =>
    lying({ node: (node) => ({ ...node, spec: { ...node.spec, availability: 'active' } }) }),
  'labels that no longer fit change nothing': () =>
    lying({ node: (node) => ({ ...node, spec: { ...node.spec, labels: firstLabels(node) } }) }),
  'autoscaling goes beyond its most': () => scaledBy((text) => text.replace(/max=\d+/, 'max=30')),
  'autoscaling forgets its window': () =>
    scaledBy((text) => text.replace(/window=\w+/, 'window=1s')),
  'a step of autoscaling is not written down': () =>
    lying({
      change: (change) => {
        if (change.op !== 'put' || change.table !== 'service') return change;
        const { autoscale: _told, ...rest } = change.object;
        return { ...change, object: rest };
      },
    }),
  'any number of nodes may have a volume': () =>
    lying({ volume: (volume) => shared(volume, { scope: 'multi', sharing: 'all' }) }),
  'any number of tasks may have a volume': () =>
    lying({ volume: (volume) => shared(volume, { scope: 'single', sharing: 'all' }) }),
  'the swarm allows everything': () =>
    lying({
      cluster: (cluster) => {
        const labels = { ...cluster.spec.labels, [allowPrivilegedLabel]: 'true' };
        return { ...cluster, spec: { ...cluster.spec, labels } };
      },
    }),
} satisfies Record<string, () => Planted>;

/** Reads the settings of autoscaling otherwise; what is written has those of the user. */
function scaledBy(edit: (text: string) => string): Planted {
  return lying({
    service: (service) => {
      const text = service.spec.labels[autoscaleLabel];
      if (text === undefined) return service;
      const labels = { ...service.spec.labels, [autoscaleLabel]: edit(text) };
      return { ...service, spec: { ...service.spec, labels } };
    },
    change: (change, store) => {
      if (change.op !== 'put' || change.table !== 'service') return change;
      const { labels } = store.service(change.object.id)?.spec ?? change.object.spec;
      return {
        ...change,
        object: { ...change.object, spec: { ...change.object.spec, labels } },
      };
    },
  });
}

/** With another access mode; nobody else can tell. */
function shared(
  volume: ClusterVolume,
  mode: Pick<NonNullable<ClusterVolume['spec']['cluster']['accessMode']>, 'scope' | 'sharing'>,
): ClusterVolume {
  const { spec } = volume;
  const accessMode = { ...spec.cluster.accessMode, ...mode };
  return { ...volume, spec: { ...spec, cluster: { ...spec.cluster, accessMode } } };
}

function lying({
  service = (one) => one,
  node = (one) => one,
  usage = (one) => one,
  volume = (one) => one,
  cluster = (one) => one,
  change = (one) => one,
}: Lie): Planted {
  return (store) => {
    const seen = (one: Service | undefined) => one && service(one, store);
    const changed: object = {
      service: (id: string) => seen(store.service(id)),
      serviceByName: (name: string) => seen(store.serviceByName(name)),
      services: () => [...store.services()].map((one) => service(one, store)),
      node: (id: string) => {
        const one = store.node(id);
        return one && node(one);
      },
      nodes: () => [...store.nodes()].map(node),
      usage: (id: string) => usage(store.usage(id)),
      volume: (id: string) => {
        const one = store.volume(id);
        return one && volume(one);
      },
      volumeByName: (name: string) => {
        const one = store.volumeByName(name);
        return one && volume(one);
      },
      volumes: () => [...store.volumes()].map(volume),
      cluster: () => {
        const one = store.cluster();
        return one && cluster(one);
      },
      propose: (changes: readonly Change[], options: { readonly atMs: number }) =>
        store.propose(
          changes.map((one) => change(one, store)),
          options,
        ),
    };
    return new Proxy(store, {
      get: (target, name) => {
        if (name in changed) return changed[name as keyof typeof changed];
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  };
}

function isApart(spec: ServiceSpec): boolean {
  return attachmentsOf(spec.task).length === 0 && !publishesIngress(spec);
}

/** Specs as they were before they were shown otherwise. */
const originals = new WeakMap<ServiceSpec, ServiceSpec>();

function shown(service: Service, spec: ServiceSpec): Service {
  originals.set(spec, service.spec);
  return { ...service, spec };
}

function restored(change: Change): Change {
  if (change.op !== 'put' || change.table !== 'service') return change;
  const spec = originals.get(change.object.spec);
  return spec === undefined ? change : { ...change, object: { ...change.object, spec } };
}

function widened(key: 'updateConfig' | 'rollbackConfig'): Planted {
  return lying({
    service: (service) => {
      const config = service.spec[key] ?? { parallelism: 1, maxFailureRatio: 0 };
      if (service.spec.mode.replicated === undefined || config.parallelism === 0) return service;
      const wider = { ...config, parallelism: config.parallelism + 1 };
      return shown(service, { ...service.spec, [key]: wider });
    },
    change: restored,
  });
}

function withOneMore(service: Service): Service {
  const { replicatedJob } = service.spec.mode;
  if (replicatedJob === undefined || service.cronStatus !== undefined) return service;
  const totalCompletions = (replicatedJob.totalCompletions ?? 1) + 1;
  return shown(service, {
    ...service.spec,
    mode: { replicatedJob: { ...replicatedJob, totalCompletions } },
  });
}

function asBefore(service: Service): Service {
  const { cronStatus } = service;
  const { lastTickMs } = cronStatus ?? {};
  if (cronStatus === undefined || lastTickMs === undefined) return service;
  return { ...service, cronStatus: { ...cronStatus, settledMs: lastTickMs - 1 } };
}

function withGeneric(change: Change, genericResources: readonly GenericResource[]): Change {
  if (change.op !== 'put' || change.table !== 'task') return change;
  const { object } = change;
  const isNamed = object.genericResources?.some(({ named }) => named !== undefined) === true;
  return isNamed ? { ...change, object: { ...object, genericResources } } : change;
}

const labels = new Map<string, Node['spec']['labels']>();

/** As they were when the node was first seen. */
function firstLabels({ id, meta, spec }: Node): Node['spec']['labels'] {
  const key = `${id} ${meta.createdAtMs}`;
  const known = labels.get(key) ?? spec.labels;
  labels.set(key, known);
  return known;
}
