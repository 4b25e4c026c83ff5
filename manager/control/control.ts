import { assert } from '../../lib/assert.ts';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import { isTerminal, type Cluster, type Node, type Service } from '../../types/index.ts';
import { certLifeDefaultMs, newRotation } from '../ca/index.ts';
import type { Change } from '../store/change.ts';
import type { ApplyResult } from '../store/log.ts';
import type { StoreView } from '../store/view.ts';
import type { Asked, ControlApi, RevisedFile } from './api.ts';
import {
  planAttachment,
  planRelease,
  type AttachmentRequest,
  type NetworkAttached,
} from './attachments.ts';
import { checkSwarmSpec } from './check-swarm-spec.ts';
import { checkSizes } from './document-size.ts';
import {
  planNewFile,
  planRelabelledFile,
  planRemovedFile,
  planRevisedFile,
} from './file-commands.ts';
import { ineffective } from './ineffective.ts';
import { planNewNetwork, planRemovedNetwork, unusedNetworks } from './network-commands.ts';
import { withLogin, withoutLogin } from './registry-commands.ts';
import { countChanges, planRestore, type RestoreBatch, type RestoreCounts } from './restore.ts';
import {
  changedService,
  checkedSpec,
  newService,
  rebalancedService,
  scaleWarnings,
} from './service-commands.ts';
import { withoutNode } from '../volume/index.ts';
import { updatedCluster, type KeyMakers } from './update-cluster.ts';
import { validateFile } from './validate-file.ts';
import { normalizeNetwork, validateNetwork } from './validate-network.ts';
import { planChangedVolume, planNewVolume, planRemovedVolume } from './volume-commands.ts';

/** The store as commands need it. */
export interface ControlStore extends StoreView {
  /** `applied: false` when an object had moved on, or a name or an ingress port is taken. */
  propose(changes: readonly Change[], options: { readonly atMs: number }): Promise<ApplyResult>;
  /** The most that an object may take as JSON, where there is such a limit. */
  readonly documentBytesMax?: number | undefined;
}

export interface ControlModules extends KeyMakers {
  readonly store: ControlStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Throws where demoting the manager would cost the swarm its quorum. */
  readonly checkDemotion: (nodeId: string) => void | Promise<void>;
}

/** Planning again after so many conflicts in a row would only add to the load that causes them. */
const maxAttempts = 10;
/** A removed node stays refused for this long after its certificate can no longer be valid. */
const removedNodeGraceMs = 7 * 24 * 3_600_000;

/** Commands as the leader carries them out. */
export class Control implements ControlApi {
  readonly #modules: ControlModules;
  /** The last creation of a network: each chooses a subnet that those before it have left free. */
  #creations: Promise<unknown> = Promise.resolve();

  constructor(modules: ControlModules) {
    this.#modules = modules;
  }

  async createService(
    args: Parameters<ControlApi['createService']>[0],
  ): ReturnType<ControlApi['createService']> {
    const { store, clock, random } = this.#modules;
    const checked = checkedSpec(args.spec, random);
    const id = random.id();
    await this.#commit(() => {
      const made = newService(store, checked, { ...args, id, nowMs: clock.nowMs() });
      return [{ op: 'put', table: 'service', object: made, base: 0 }];
    }, args);
    return { id, warnings: ineffective(args.spec) };
  }

  async updateService(
    args: Parameters<ControlApi['updateService']>[0],
  ): ReturnType<ControlApi['updateService']> {
    const { store, clock, random } = this.#modules;
    const checked = args.rollback === true ? undefined : checkedSpec(args.spec, random);
    await this.#commit(() => {
      const service = this.#service(args.id);
      requireVersion(args.version, service);
      const object = changedService(store, service, checked, { ...args, nowMs: clock.nowMs() });
      return [{ op: 'put', table: 'service', object, base: service.meta.version }];
    }, args);
    if (args.rollback === true) return { warnings: [] };
    const told = scaleWarnings(args.spec, store.service(args.id)?.spec);
    return { warnings: [...ineffective(args.spec), ...told] };
  }

  async removeService({ id, ...asked }: Asked & { id: string }): Promise<void> {
    await this.#commit(() => {
      const service = this.#service(id);
      return [{ op: 'delete', table: 'service', id, base: service.meta.version }];
    }, asked);
  }

  async rebalanceService({ id }: { id: string }): Promise<void> {
    await this.#commit(() => {
      const service = this.#service(id);
      const object = rebalancedService(service, this.#modules.clock.nowMs());
      return [{ op: 'put', table: 'service', object, base: service.meta.version }];
    });
  }

  async createNetwork(
    args: Parameters<ControlApi['createNetwork']>[0],
  ): ReturnType<ControlApi['createNetwork']> {
    const spec = normalizeNetwork(args.spec);
    validateNetwork(spec);
    const { store, clock, random } = this.#modules;
    const id = random.id();
    await this.#commitInTurn(() =>
      planNewNetwork(store, { id, spec }, { random, nowMs: clock.nowMs() }),
    );
    return { id, warning: '' };
  }

  async removeNetwork({ id }: { id: string }): Promise<void> {
    await this.#commit(() => planRemovedNetwork(this.#modules.store, id));
  }

  async pruneNetworks({ ids }: { ids: readonly string[] }): Promise<{ removed: string[] }> {
    let removed: string[] = [];
    await this.#commit(() => {
      const unused = unusedNetworks(this.#modules.store, ids);
      removed = unused.map(({ id }) => id);
      return unused.map(({ id, meta }): Change => {
        return { op: 'delete', table: 'network', id, base: meta.version };
      });
    });
    return { removed };
  }

  async createFile(
    args: Parameters<ControlApi['createFile']>[0],
  ): ReturnType<ControlApi['createFile']> {
    const { kind, spec } = args;
    validateFile(kind, spec);
    const { store, clock, random } = this.#modules;
    const id = random.id();
    await this.#commit(() => planNewFile(store, kind, { id, spec, nowMs: clock.nowMs() }));
    return { id };
  }

  async updateFile({ kind, ...args }: Parameters<ControlApi['updateFile']>[0]): Promise<void> {
    await this.#commit(() => planRelabelledFile(this.#modules.store, kind, args));
  }

  async reviseFile(
    args: Parameters<ControlApi['reviseFile']>[0],
  ): ReturnType<ControlApi['reviseFile']> {
    const { kind, id, data } = args;
    const { store, clock, random } = this.#modules;
    const newId = random.id();
    let revised: RevisedFile = { id, revision: 0, services: [] };
    await this.#commit(() => {
      const spec = store.file(kind, id)?.spec;
      if (spec !== undefined) validateFile(kind, { ...spec, data });
      const plan = planRevisedFile(store, kind, { id, newId, data }, clock.nowMs());
      ({ revised } = plan);
      return plan.changes;
    }, args);
    return revised;
  }

  async removeFile({ kind, id }: Parameters<ControlApi['removeFile']>[0]): Promise<void> {
    await this.#commit(() => planRemovedFile(this.#modules.store, kind, id));
  }

  async createVolume({ spec, ...by }: Parameters<ControlApi['createVolume']>[0]) {
    const { store, clock, random } = this.#modules;
    const id = random.id();
    await this.#commit(() => planNewVolume(store, { id, spec, nowMs: clock.nowMs() }), by);
    return { id };
  }

  async updateVolume(args: Parameters<ControlApi['updateVolume']>[0]): Promise<void> {
    await this.#commit(() => planChangedVolume(this.#modules.store, args), args);
  }

  async removeVolume(args: Parameters<ControlApi['removeVolume']>[0]): Promise<void> {
    await this.#commit(() => planRemovedVolume(this.#modules.store, args), args);
  }

  /** For a node that has asked for itself. Throws as `planAttachment` does. */
  async attach(request: AttachmentRequest): Promise<NetworkAttached> {
    const { store, clock, random } = this.#modules;
    await this.#commit(() => planRelease(store, request));
    let attached: NetworkAttached | undefined;
    await this.#commit(() => {
      const plan = planAttachment(store, request, { random, nowMs: clock.nowMs() });
      attached = plan.attached;
      return plan.changes;
    });
    assert(attached !== undefined, 'what is committed was planned');
    return attached;
  }

  async updateNode(args: Parameters<ControlApi['updateNode']>[0]): Promise<void> {
    if (this.#node(args.id).spec.role === 'manager' && args.spec.role === 'worker') {
      await this.#modules.checkDemotion(args.id);
    }
    await this.#commit(() => {
      const node = this.#node(args.id);
      requireSpecKnown(args.version, node);
      const object = { ...node, spec: args.spec, specBase: node.meta.version };
      return [{ op: 'put', table: 'node', object, base: node.meta.version }];
    }, args);
  }

  async removeNode({
    id,
    force,
    ...asked
  }: Parameters<ControlApi['removeNode']>[0]): Promise<void> {
    await this.#commit(() => {
      const node = this.#node(id);
      if (node.spec.role === 'manager' || node.role === 'manager') {
        throw new SwarmError(
          'failed-precondition',
          `node ${id} is a cluster manager and is a member of the raft cluster. ` +
            'It must be demoted to worker before removal',
        );
      }
      if (!force && node.status.state !== 'down') {
        throw new SwarmError('failed-precondition', `node ${id} is not down and can't be removed`);
      }
      const cluster = this.#cluster();
      const object = this.#remembering(cluster, id);
      return [
        { op: 'put', table: 'cluster', object, base: cluster.meta.version },
        { op: 'delete', table: 'node', id, base: node.meta.version },
        ...this.#orphaned(id),
        ...withoutNode(this.#modules.store, node, { force }),
      ];
    }, asked);
  }

  async updateCluster(args: Parameters<ControlApi['updateCluster']>[0]): Promise<void> {
    checkSwarmSpec(args.spec);
    const present = this.#cluster();
    requireVersion(args.version, present);
    const rotation = await newRotation(present, args.spec, this.#modules.clock);
    await this.#commit(() => {
      const cluster = this.#cluster();
      requireVersion(args.version, cluster);
      const object = updatedCluster(cluster, { ...args, rotation }, this.#modules);
      return [{ op: 'put', table: 'cluster', object, base: cluster.meta.version }];
    }, args);
  }

  async logIn(args: Parameters<ControlApi['logIn']>[0]): Promise<void> {
    const nowMs = this.#modules.clock.nowMs();
    await this.#commit(() => this.#clusterPut((cluster) => withLogin(cluster, args, nowMs)));
  }

  async logOut({ registry }: Parameters<ControlApi['logOut']>[0]): Promise<void> {
    await this.#commit(() => this.#clusterPut((cluster) => withoutLogin(cluster, registry)));
  }

  async restore({ user, ...batch }: Asked & RestoreBatch): Promise<RestoreCounts> {
    let counts: RestoreCounts = { created: 0, updated: 0, removed: 0 };
    await this.#commitInTurn(
      () => {
        const changes = planRestore(this.#modules.store, batch, {
          random: this.#modules.random,
          nowMs: this.#modules.clock.nowMs(),
        });
        counts = countChanges(changes);
        return changes;
      },
      user === undefined ? {} : { user },
    );
    return counts;
  }

  /** For what creates networks: one begins when the one before it has ended, however it ended. */
  async #commitInTurn(plan: () => readonly Change[], asked: Asked = {}): Promise<void> {
    const committed = this.#creations.then(() => this.#commit(plan, asked));
    this.#creations = Promise.allSettled([committed]);
    await committed;
  }

  /** Plans on the present state, and again when the store says that it had moved on. */
  async #commit(plan: () => readonly Change[], { user }: Asked = {}): Promise<void> {
    const atMs = this.#modules.clock.nowMs();
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const planned = plan();
      if (planned.length === 0) return;
      checkSizes(planned, this.#modules.store.documentBytesMax);
      const changes = user === undefined ? planned : planned.map((change) => asked(change, user));
      const result = await this.#modules.store.propose(changes, { atMs });
      if (result.applied) return;
    }
    throw new SwarmError(
      'aborted',
      'what the command changes was changed by others at the same time, again and again; try again',
    );
  }

  /** Its certificate outlives the node: the cluster refuses it until it cannot be valid. */
  #remembering(cluster: Cluster, nodeId: string): Cluster {
    const nowMs = this.#modules.clock.nowMs();
    const expiryMs = Math.max(cluster.spec.ca.nodeCertExpiryMs ?? 0, certLifeDefaultMs);
    const kept = Object.entries(cluster.removedNodes).filter(
      ([, expiresAtMs]) => expiresAtMs + removedNodeGraceMs > nowMs,
    );
    return {
      ...cluster,
      removedNodes: { ...Object.fromEntries(kept), [nodeId]: nowMs + expiryMs },
    };
  }

  /** Nobody will report on these tasks again: they are replaced now, and then forgotten. */
  #orphaned(nodeId: string): Change[] {
    const atMs = this.#modules.clock.nowMs();
    const message = 'Task belonged to a node that has been deleted';
    const tasks = [...this.#modules.store.tasksOfNode(nodeId)];
    const alive = tasks.filter((task) => !isTerminal(task.status.state));
    return [
      ...alive.map(({ id, status }): Change => {
        return { op: 'task-status', id, status: { ...status, state: 'orphaned', atMs, message } };
      }),
      ...tasks.map(({ id }): Change => ({ op: 'task-desire', id, desiredState: 'remove' })),
    ];
  }

  #service(id: string): Service {
    const service = this.#modules.store.service(id);
    if (service === undefined) throw new SwarmError('not-found', `service ${id} not found`);
    return service;
  }

  #node(id: string): Node {
    const node = this.#modules.store.node(id);
    if (node === undefined) throw new SwarmError('not-found', `node ${id} not found`);
    return node;
  }

  #clusterPut(change: (cluster: Cluster) => Cluster): Change[] {
    const cluster = this.#cluster();
    const base = cluster.meta.version;
    return [{ op: 'put', table: 'cluster', object: change(cluster), base }];
  }

  #cluster(): Cluster {
    const cluster = this.#modules.store.cluster();
    if (cluster === undefined) {
      throw new SwarmError('unavailable', 'the swarm is not initialised yet; try again');
    }
    return cluster;
  }
}

const remembered: readonly string[] = ['service', 'node', 'volume', 'cluster'];

/** Whose command it was is told of these; of others no history is kept. */
function asked(change: Change, user: string): Change {
  if (change.op !== 'put' && change.op !== 'delete') return change;
  return remembered.includes(change.table) ? { ...change, user } : change;
}

function requireVersion(version: number, { meta }: { readonly meta: Service['meta'] }): void {
  if (meta.version !== version) throw new SwarmError('aborted', 'update out of sequence');
}

/**
 * Nodes change all the time by what they report, and what the managers make of it: only who has not
 * seen the last change of the spec is out of sequence.
 */
function requireSpecKnown(version: number, { meta, specBase = 0 }: Node): void {
  if (version > specBase && version <= meta.version) return;
  throw new SwarmError('aborted', 'update out of sequence');
}
