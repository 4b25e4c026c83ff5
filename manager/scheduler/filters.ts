/**
 * Which nodes a group of alike tasks may go to, and in Docker's words why not the others. A filter
 * that has nothing to ask of the group is left out, so that the common group asks little.
 */
import { clusterMountsOf, type GenericResource, type Task } from '../../types/index.ts';
import { architectureOf, constraintsOf, satisfiesAll } from './constraint.ts';
import { shortage, unavailability, unsatisfied } from './details.ts';
import { claimGeneric } from './generic.ts';
import { hostPortsOf, type NodeTable } from './node-table.ts';

interface Filter {
  readonly accepts: (number: number) => boolean;
  readonly explain: (nodes: number) => string;
  /** What of this one node it is that the filter refuses: "is drained". */
  readonly detail: (number: number) => string;
  /** A name, for a filter whose answer depends on the node's document and not on what runs there. */
  readonly fixed?: string;
}

export interface Filters {
  /** The position of the first filter that refuses the node, or -1. */
  readonly refusal: (number: number) => number;
  /** "no suitable node (…)", from a look at every node. */
  explain(): string;
  /** As `explain`, for the only node that a task may go to. */
  explainNode(number: number | undefined): string;
  /** Every reason that the node is refused for, each about this node; none where it fits. */
  refusals(number: number): readonly string[];
}

/** Answers of the fixed filters, shared by all groups that ask the same: 0 not yet known. */
export type FixedAnswers = Map<string, Int8Array>;

/** More different sets of constraints than this in one run are answered without a memory. */
const maxRemembered = 64;

export function filtersFor(
  table: NodeTable,
  sample: Task,
  serviceCount: (number: number) => number,
  remembered: FixedAnswers,
): Filters {
  const all = [
    readyFilter(table),
    resourceFilter(table, sample),
    pluginFilter(table, sample),
    constraintFilter(table, sample),
    platformFilter(table, sample),
    hostPortFilter(table, sample),
    maxReplicasFilter(sample, serviceCount),
    volumeFilter(table, sample),
  ].filter((filter) => filter !== undefined);
  const accepts = withMemory(all, sample, table.size, remembered);
  const refusal = (number: number) => {
    for (let position = 0; position < accepts.length; position++) {
      if (!accepts[position]!(number)) return position;
    }
    return -1;
  };
  const explainOver = (numbers: Iterable<number>) => {
    const counts = all.map(() => 0);
    for (const number of numbers) {
      const position = refusal(number);
      if (position >= 0) counts[position]! += 1;
    }
    return sentence(all, counts);
  };
  return {
    refusal,
    explain: () => explainOver(table.nodes.keys()),
    explainNode: (number) => explainOver(number === undefined ? [] : [number]),
    refusals: (number) =>
      all.filter(({ accepts }) => !accepts(number)).map(({ detail }) => detail(number)),
  };
}

/** All that the filters look at in a task: groups with equal keys are refused alike. */
export function requirementKey(task: Task): string {
  const { placement, resources } = task.spec;
  // How many replicas a node may have is asked of each service on its own.
  const own = (placement?.maxReplicas ?? 0) > 0 ? task.serviceId : '';
  const volumes = clusterMountsOf(task.spec.container);
  return JSON.stringify([own, fixedKey(task), resources?.reservations, hostPortsOf(task), volumes]);
}

/** The generic resources that a task claims on a node that has passed the filters. */
export function claimOn(table: NodeTable, number: number, task: Task): readonly GenericResource[] {
  const wanted = genericOf(task);
  if (wanted.length === 0) return [];
  return claimGeneric(wanted, genericOnNode(table, number), table.claimedGeneric(number)) ?? [];
}

function sentence(filters: readonly Filter[], counts: readonly number[]): string {
  const parts = filters
    .map((filter, position) => ({ filter, count: counts[position] ?? 0 }))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count)
    .map(({ filter, count }) => filter.explain(count));
  return parts.length === 0 ? 'no suitable node' : `no suitable node (${parts.join('; ')})`;
}

function withMemory(
  filters: readonly Filter[],
  sample: Task,
  size: number,
  remembered: FixedAnswers,
): ((number: number) => boolean)[] {
  if (filters.every((filter) => filter.fixed === undefined)) {
    return filters.map((filter) => filter.accepts);
  }
  const key = fixedKey(sample);
  return filters.map((filter) => {
    if (filter.fixed === undefined) return filter.accepts;
    const name = `${filter.fixed} ${key}`;
    let answers = remembered.get(name);
    if (answers === undefined) {
      if (remembered.size >= maxRemembered) return filter.accepts;
      answers = new Int8Array(size);
      remembered.set(name, answers);
    }
    const known = answers;
    return (number) => {
      if (known[number] === 0) known[number] = filter.accepts(number) ? 1 : 2;
      return known[number] === 1;
    };
  });
}

function fixedKey(task: Task): string {
  const { placement } = task.spec;
  const asked = pluginsOf(task);
  if (placement === undefined && asked.length === 0) return '';
  return JSON.stringify([placement?.constraints ?? [], placement?.platforms ?? [], asked]);
}

function readyFilter(table: NodeTable): Filter {
  return {
    accepts: (number) => table.available[number] === 1,
    explain: (n) => `${n} ${n === 1 ? 'node' : 'nodes'} not available for new tasks`,
    detail: (number) => unavailability(table.nodes[number]!),
  };
}

function resourceFilter(table: NodeTable, task: Task): Filter | undefined {
  const reservations = task.spec.resources?.reservations;
  const nanoCpus = reservations?.nanoCpus ?? 0;
  const memoryBytes = reservations?.memoryBytes ?? 0;
  const generic = genericOf(task);
  if (nanoCpus === 0 && memoryBytes === 0 && generic.length === 0) return undefined;
  return {
    accepts: (number) =>
      table.freeNanoCpus[number]! >= nanoCpus &&
      table.freeMemoryBytes[number]! >= memoryBytes &&
      (generic.length === 0 ||
        claimGeneric(generic, genericOnNode(table, number), table.claimedGeneric(number)) !==
          undefined),
    explain: (n) => `insufficient resources on ${nodes(n)}`,
    detail: (number) => shortage(table, number, { nanoCpus, memoryBytes, generic }),
  };
}

function pluginFilter(table: NodeTable, task: Task): Filter | undefined {
  const asked = pluginsOf(task);
  if (asked.length === 0) return undefined;
  const missing = (number: number) => {
    const present = table.nodes[number]?.description?.engine.plugins ?? [];
    return asked.filter(({ type, name }) => {
      const alike = present.filter((plugin) => plugin.type === type);
      // A node that lists no log drivers at all does not say which ones it has.
      if (type === 'Log' && alike.length === 0) return false;
      return !alike.some((plugin) => plugin.name === name || plugin.name === `${name}:latest`);
    });
  };
  return {
    fixed: 'plugin',
    accepts: (number) => missing(number).length === 0,
    explain: (n) => `missing plugin on ${nodes(n)}`,
    detail: (number) => {
      const names = missing(number).map(({ type, name }) => `${type.toLowerCase()} ${name}`);
      return `lacks the plugin ${names.join(', ')}`;
    },
  };
}

function constraintFilter(table: NodeTable, task: Task): Filter | undefined {
  const constraints = constraintsOf(task.spec.placement);
  if (constraints.length === 0) return undefined;
  return {
    fixed: 'constraint',
    accepts: (number) => satisfiesAll(table.nodes[number]!, constraints),
    explain: (n) => `scheduling constraints not satisfied on ${nodes(n)}`,
    detail: (number) => unsatisfied(table.nodes[number]!, constraints),
  };
}

function platformFilter(table: NodeTable, task: Task): Filter | undefined {
  const platforms = task.spec.placement?.platforms ?? [];
  if (platforms.length === 0) return undefined;
  return {
    fixed: 'platform',
    accepts: (number) => {
      const own = table.nodes[number]?.description?.platform;
      if (own === undefined) return false;
      return platforms.some(
        ({ os, architecture }) =>
          ((os ?? '') === '' || os?.toLowerCase() === own.os.toLowerCase()) &&
          ((architecture ?? '') === '' ||
            architectureOf(architecture ?? '') === architectureOf(own.architecture)),
      );
    },
    explain: (n) => `unsupported platform on ${nodes(n)}`,
    detail: (number) => {
      const own = table.nodes[number]?.description?.platform;
      const present = own === undefined ? 'of no known platform' : platformName(own);
      return `is ${present}, the image is for ${platforms.map(platformName).join(', ')}`;
    },
  };
}

function hostPortFilter(table: NodeTable, task: Task): Filter | undefined {
  const ports = hostPortsOf(task);
  if (ports.length === 0) return undefined;
  return {
    accepts: (number) => !ports.some((port) => table.portTaken(number, port)),
    explain: (n) => `host-mode port already in use on ${nodes(n)}`,
    detail: (number) => {
      const taken = ports.filter((port) => table.portTaken(number, port));
      return `its port ${taken.join(', ')} is taken by another task`;
    },
  };
}

function maxReplicasFilter(
  task: Task,
  serviceCount: (number: number) => number,
): Filter | undefined {
  const maxReplicas = task.spec.placement?.maxReplicas ?? 0;
  if (maxReplicas === 0) return undefined;
  return {
    accepts: (number) => serviceCount(number) < maxReplicas,
    explain: () => 'max replicas per node limit exceed',
    detail: (number) =>
      `has ${serviceCount(number)} tasks of the service, and may have at most ${maxReplicas}`,
  };
}

function volumeFilter(table: NodeTable, task: Task): Filter | undefined {
  if (clusterMountsOf(task.spec.container).length === 0) return undefined;
  const why = (number: number) => {
    const chosen = table.volumes.choose(task, table.nodes[number]!);
    return typeof chosen === 'string' ? chosen : undefined;
  };
  /** The same on most nodes: one of them is told. */
  let told = '';
  return {
    accepts(number) {
      const refusal = why(number);
      if (refusal !== undefined) told = refusal;
      return refusal === undefined;
    },
    explain: (n) => `cannot fulfill requested CSI volume mounts on ${nodes(n)}: ${told}`,
    detail: (number) => `cannot have what it asks for: ${why(number) ?? ''}`,
  };
}

function genericOf(task: Task): readonly GenericResource[] {
  return task.spec.resources?.reservations?.genericResources ?? [];
}

function genericOnNode(table: NodeTable, number: number): readonly GenericResource[] {
  return table.nodes[number]?.description?.resources.genericResources ?? [];
}

function pluginsOf(task: Task): readonly { readonly type: string; readonly name: string }[] {
  const volumes = (task.spec.container?.mounts ?? [])
    .map((mount) => mount.volumeOptions?.driverConfig?.name ?? '')
    .filter((name) => name !== '' && name !== 'local')
    .map((name) => ({ type: 'Volume', name }));
  const log = task.spec.logDriver?.name ?? '';
  return log === '' || log === 'none' ? volumes : [...volumes, { type: 'Log', name: log }];
}

function platformName({ os, architecture }: { os?: string; architecture?: string }): string {
  return `${os ?? ''}/${architectureOf(architecture ?? '')}`;
}

function nodes(n: number): string {
  return n === 1 ? '1 node' : `${n} nodes`;
}
