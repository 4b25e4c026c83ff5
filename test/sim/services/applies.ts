/** Whether a line of a program has something to work on: one that is shortened may have lost it. */
import type { SimCluster } from '../../scenario/sim-cluster.ts';
import type { FileKind } from '../../../types/index.ts';

type Test = (cluster: SimCluster, word: string) => boolean;

const hasService: Test = ({ store }, word) =>
  store.serviceByName(word.split('=')[0] ?? '') !== undefined;
const hasNode: Test = ({ store, workers }, word) =>
  store.node(word) !== undefined && workers.has(word);
const isReady: Test = (cluster, word) =>
  hasNode(cluster, word) && cluster.store.node(word)?.status.state === 'ready';
const hasFile =
  (kind: FileKind): Test =>
  ({ store }, word) =>
    store.revisions(kind, word).length > 0;

const tests: Readonly<Record<string, Test>> = {
  update: hasService,
  scale: (cluster, word) =>
    cluster.store.serviceByName(word.split('=')[0] ?? '')?.spec.mode.replicated !== undefined,
  rollback: hasService,
  rm: hasService,
  rebalance: hasService,
  load: hasService,
  requests: hasService,
  volume: ({ store }, word) => store.volumeByName(word) === undefined,
  'volume-rm': ({ store }, word) => store.volumeByName(word) !== undefined,
  nodes: ({ store }, word) => store.node(word) === undefined,
  drain: hasNode,
  activate: hasNode,
  pause: hasNode,
  label: hasNode,
  promote: hasNode,
  demote: hasNode,
  remove: hasNode,
  slow: hasNode,
  cut: isReady,
  kill: isReady,
  restore: (cluster, word) => hasNode(cluster, word) && !isReady(cluster, word),
  crash: runsAs,
  'network-rm': ({ store }, word) => store.networkByName(word) !== undefined,
  'revise-secret': hasFile('secret'),
  'revise-config': hasFile('config'),
  'rm-secret': hasFile('secret'),
  'rm-config': hasFile('config'),
};

export function applies(line: string, cluster: SimCluster): boolean {
  const [command = '', word = ''] = line.split(' ');
  return tests[command]?.(cluster, word) ?? true;
}

function runsAs(cluster: SimCluster, word: string): boolean {
  const [name = '', slot = ''] = word.split('.');
  return cluster
    .tasks(name)
    .some(
      (task) =>
        task.status.state === 'running' &&
        (String(task.slot) === slot || task.nodeId === slot) &&
        cluster.workers.get(task.nodeId)?.running.includes(task.id) === true,
    );
}
