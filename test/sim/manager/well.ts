/** Whether the swarm is as it was asked to be. */
import { publishesIngress } from '../../../manager/store/view.ts';
import {
  cronOf,
  isActive,
  isJobMode,
  isTerminal,
  isWanted,
  type Service,
  type Task,
} from '../../../types/index.ts';
import type { Store } from '../../../manager/store/index.ts';
import { epochMs } from './process.ts';
import type { SimHost } from './sim-host.ts';
import type { Swarm } from './swarm.ts';

/** A sentence about the first thing that is not as it should be; nothing where all is well. */
export function whatIsWrong(swarm: Swarm): string | undefined {
  const { leader, managers, hosts, membership } = swarm;
  const store = leader?.store;
  if (store === undefined) return 'nobody leads';
  if (!membership.isSettled) return 'the managers are not all there';
  for (const { id, store: other, isGone } of managers) {
    if (isGone) continue;
    if (other === undefined) return `${id} does not run`;
    // That digests are equal where indexes are, the witness has seen already.
    if (other.index !== store.index) return `${id} is at ${other.index}, not ${store.index}`;
  }
  for (const { id, isUp } of hosts) {
    const state = store.node(id)?.status.state;
    if ((state === 'ready') !== isUp) return `${id} is ${isUp ? 'up' : 'lost'}, and held ${state}`;
  }
  for (const service of store.services()) {
    const wrong = wrongWith(service, store, swarm);
    if (wrong !== undefined) return wrong;
  }
  const wrongAddress = addressWrong(store);
  if (wrongAddress !== undefined) return wrongAddress;
  const wanted = [...store.tasks()].filter(isActive);
  for (const host of hosts) {
    const wrong = networkWrong(host, store);
    if (wrong !== undefined) return wrong;
  }
  const running = hosts.flatMap((host) => host.running.map(({ task }) => task.id));
  const [extra] = running.filter((id) => !wanted.some((task) => task.id === id));
  if (extra !== undefined) return `the container of ${extra} runs, and is not wanted`;
  // Runs by the clock come and go: one of them may be on its way to its node.
  const lasts = ({ serviceId }: Task) => {
    const spec = store.service(serviceId)?.spec;
    return spec === undefined || cronOf(spec) === undefined;
  };
  const missing = wanted.find((task) => lasts(task) && !running.includes(task.id));
  return missing === undefined ? undefined : `no container of ${missing.name} runs`;
}

/** Between two ticks of every schedule (client.ts). */
const everyMs = 5_000;

/** A job is done, a schedule is kept to. */
function wrongWithJob(service: Service, store: Store, swarm: Swarm): string | undefined {
  const { id, spec, jobStatus, cronStatus } = service;
  if (cronStatus !== undefined) {
    const { settings, agenda } = swarm;
    const lateMs = epochMs + agenda.now - cronStatus.settledMs;
    const allowedMs = everyMs + 2 * settings.skewMs + 2_000;
    return lateMs <= allowedMs ? undefined : `${spec.name} is ${lateMs} ms behind its schedule`;
  }
  const own = [...store.tasksOfService(id)].filter(
    ({ jobIteration, status }) =>
      jobIteration === jobStatus?.iteration && status.state === 'complete',
  );
  const nodes = swarm.hosts.filter(({ isUp }) => isUp).map((host) => host.id);
  const missing =
    spec.mode.globalJob === undefined
      ? (spec.mode.replicatedJob?.totalCompletions ?? 0) - new Set(own.map(({ slot }) => slot)).size
      : new Set(nodes).difference(new Set(own.map(({ nodeId }) => nodeId))).size;
  return missing === 0 ? undefined : `${spec.name} lacks ${missing} completions`;
}

function wrongWith(service: Service, store: Store, swarm: Swarm): string | undefined {
  if (isJobMode(service.spec.mode)) return wrongWithJob(service, store, swarm);
  const { hosts } = swarm;
  const { id, spec, updateStatus } = service;
  const tasks = [...store.tasksOfService(id)].filter((task) => isWanted(task.desiredState));
  const expected =
    spec.mode.global === undefined
      ? spec.mode.replicated?.replicas
      : hosts.filter(({ isUp }) => isUp).length;
  if (tasks.length !== expected) {
    return `${spec.name} has ${tasks.length} wanted tasks, not ${expected}`;
  }
  const state = updateStatus?.state ?? 'completed';
  if (!state.endsWith('completed')) return `the update of ${spec.name} is ${state}`;
  const networks = networksOf(service, store);
  const vips = (service.virtualIps ?? []).map(({ networkId }) => networkId);
  if (vips.join() !== networks.join()) return `${spec.name} lacks virtual addresses`;
  const astray = tasks.find((task) => {
    return (task.networks ?? []).map(({ networkId }) => networkId).join() !== networks.join();
  });
  if (astray !== undefined) return `${astray.name} is not on the networks of its service`;
  return tasks.map((task) => wrongWithTask(task, spec.task.container?.image, store)).find(Boolean);
}

function wrongWithTask(task: Task, image: string | undefined, store: Store): string | undefined {
  const { name, desiredState, status, nodeId, spec } = task;
  if (desiredState !== 'running') return `${name} is wanted ${desiredState}`;
  if (status.state !== 'running') return `${name} is ${status.state}: ${status.err ?? ''}`;
  if (spec.container?.image !== image) return `${name} is of another image`;
  const node = store.node(nodeId)?.status.state;
  return node === 'ready' ? undefined : `${name} is on ${nodeId}, which is ${node}`;
}

/** Where the service and its tasks are to have addresses. */
function networksOf({ spec }: Service, store: Store): string[] {
  const named = (spec.task.networks ?? []).map(({ target }) => target);
  return publishesIngress(spec) ? [...named, store.ingressNetwork()?.id ?? ''] : named;
}

/** Who holds an address and should not, or should and does not. */
function addressWrong(store: Store): string | undefined {
  const mesh = store.ingressNetwork();
  for (const { id, spec } of store.networks()) {
    for (const [address, holder] of store.usedAddresses(id)) {
      const task = store.task(holder);
      const isLeft = task !== undefined && !isWanted(task.desiredState);
      if (isLeft && store.node(task.nodeId)?.status.state === 'ready') {
        return `${task.name} has ended, and holds ${address} on ${spec.name}`;
      }
    }
  }
  const without = [...store.nodes()].find(
    ({ ingressAddresses = [] }) => ingressAddresses.length === 0,
  );
  return mesh === undefined || without === undefined
    ? undefined
    : `node ${without.id} has no address on the routing mesh`;
}

/** What a host knows of its networks is what the store says. */
function networkWrong(
  { id: hostId, networks: known, isUp }: SimHost,
  store: Store,
): string | undefined {
  if (!isUp) return undefined;
  const mesh = store.ingressNetwork()?.id;
  const own = [...store.tasksOfNode(hostId)].filter(({ status }) => !isTerminal(status.state));
  const expected = new Set(
    own.flatMap(({ networks = [] }) => networks.map((one) => one.networkId)),
  );
  if (mesh !== undefined) expected.add(mesh);
  const present = new Set([...known.networks()].map(({ id }) => id));
  const other = [...expected.symmetricDifference(present)][0];
  if (other !== undefined) return `${hostId} and the store do not agree on network ${other}`;
  for (const networkId of expected) {
    const active = [...known.endpointsOf(networkId)].filter((endpoint) => endpoint.active);
    const serving = [...store.tasksOfNetwork(networkId)].filter(
      ({ status, desiredState, nodeId }) =>
        status.state === 'running' &&
        isWanted(desiredState) &&
        store.node(nodeId)?.status.state === 'ready',
    );
    const told = active.map(({ taskId, addresses }) => `${taskId} ${addresses.join()}`).sort();
    const meant = serving.map(({ id, networks }) => {
      const addresses = networks?.find((one) => one.networkId === networkId)?.addresses ?? [];
      return `${id} ${addresses.map((address) => address.split('/')[0]).join()}`;
    });
    const bare = told.map((line) => line.replaceAll(/\/\d+/g, ''));
    if (bare.join() !== meant.sort().join()) {
      return `${hostId} knows other endpoints of network ${networkId} than the store`;
    }
  }
  return undefined;
}
