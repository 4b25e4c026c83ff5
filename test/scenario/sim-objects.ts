/** The first objects of a simulated cluster. */
import type { Cluster, Node } from '../../types/index.ts';
import { csiOf } from './sim-storage.ts';

export interface SimNodeOptions {
  readonly labels?: Record<string, string>;
  readonly engineLabels?: Record<string, string>;
  readonly role?: Node['role'];
  readonly architecture?: string;
  readonly address?: string;
  readonly nanoCpus?: number;
  readonly memoryBytes?: number;
  /** It has the driver of cluster volumes. */
  readonly hasArray?: boolean;
  /** A number of them, or their names. */
  readonly generic?: { readonly kind: string; readonly value: number | readonly string[] };
}

export function nodeDocument(
  id: string,
  meta: Node['meta'],
  options: SimNodeOptions,
): Node & { readonly description: NonNullable<Node['description']> } {
  const { labels = {}, engineLabels = {}, role = 'worker', address = '10.0.0.1' } = options;
  const { nanoCpus = 4e9, memoryBytes = 8 * 2 ** 30, generic, architecture = 'x86_64' } = options;
  return {
    id,
    meta,
    spec: { labels, role, availability: 'active' },
    role,
    description: {
      hostname: id,
      platform: { architecture, os: 'linux' },
      resources: {
        nanoCpus,
        memoryBytes,
        ...(generic === undefined ? {} : { genericResources: genericOf(generic) }),
      },
      engine: { version: '1', labels: engineLabels, plugins: [] },
      ...(options.hasArray === true ? { csi: [csiOf(id)] } : {}),
    },
    status: { state: 'ready', message: '', addr: address, atMs: meta.createdAtMs },
  };
}

function genericOf({ kind, value }: NonNullable<SimNodeOptions['generic']>) {
  if (typeof value === 'number') return [{ discrete: { kind, value } }];
  return value.map((name) => ({ named: { kind, value: name } }));
}

export function newCluster(meta: Cluster['meta']): Cluster {
  return {
    id: 'cluster',
    meta,
    spec: {
      name: 'default',
      labels: {},
      orchestration: {},
      raft: {},
      dispatcher: {},
      ca: {},
      taskDefaults: {},
      encryption: { autoLockManagers: false },
    },
    rootCa: { certPem: '', keyPem: '', joinTokens: { worker: '', manager: '' } },
    dataPathPort: 4789,
    defaultAddressPools: [],
    subnetSize: 24,
    removedNodes: {},
  };
}

/** What a file holds, as the API has it. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
