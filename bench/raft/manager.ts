/** One manager's store in a process of its own: on the disk, encrypted, on a port with mTLS. */
import { Raft as RaftService } from '../../gen/raft_pb.js';
import { realClock as clock } from '../../lib/clock.ts';
import { ClusterServer } from '../../lib/grpc/index.ts';
import { NodeIdentity } from '../../lib/identity/index.ts';
import { silentLogger as log } from '../../lib/log.ts';
import { systemRandom as random } from '../../lib/random.ts';
import { PeerTransport } from '../../manager/peers/index.ts';
import { RaftLog, Store, type Change } from '../../manager/store/index.ts';
import { AesCipher, nodeDisk } from '../../raft/index.ts';
import type { Task } from '../../types/index.ts';
import { config, serve } from './child.ts';
import { load, type LoadOptions } from './load.ts';

export interface ManagerConfig {
  readonly folder: string;
  /** Where its certificates are. */
  readonly identity: string;
  readonly bootstrap: boolean;
  /** Node ids and addresses of all managers. */
  readonly addrs: Readonly<Record<string, string>>;
  /** Encrypts the log; hex. */
  readonly key: string;
}

export type Question =
  | { readonly op: 'open' }
  | { readonly op: 'add'; readonly id: string }
  | ({ readonly op: 'load' } & LoadOptions)
  | { readonly op: 'digest' };

const atMs = 1_790_000_000_000;
const settings = config() as ManagerConfig;
const identity = await NodeIdentity.load(settings.identity, clock);
if (identity === undefined) throw new Error(`no identity in ${settings.identity}`);
const addrOf = (id: string) => settings.addrs[id];
const transport = new PeerTransport({
  clock,
  random,
  log,
  connect: (addr) => identity.connect(addr),
  ownAddr: () => addrOf(identity.nodeId) ?? '',
  addrOf,
});
const raftLog = new RaftLog(
  { id: identity.nodeId, folder: settings.folder, bootstrap: settings.bootstrap },
  {
    disk: nodeDisk,
    cipher: new AesCipher([Buffer.from(settings.key, 'hex')]),
    transport,
    clock,
    random,
    log,
    onFailure: (error) => {
      throw error;
    },
  },
);
transport.attach(raftLog);
const store = new Store(raftLog);
const server = new ClusterServer({
  listenAddr: addrOf(identity.nodeId) ?? '',
  identity,
  isRemoved: () => false,
  log,
});
server.addService(RaftService, transport.handlers, { allow: 'managers' });

const answers = {
  open: () => store.open().then(() => server.listen()),
  add: ({ id }) =>
    raftLog.changeMembership({ steps: [{ op: 'add-voter', node: id }], transition: 'auto' }),
  load: (options) => runLoad(options),
  digest: () => store.read().then(() => store.digest()),
} satisfies { [O in Question['op']]: (question: Question & { op: O }) => Promise<unknown> };

await serve((question: Question) => answers[question.op](question as never));
await server[Symbol.asyncDispose]();
await transport[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();

/** Each writer changes the status of a task of its own, as nodes that report do. */
async function runLoad(options: LoadOptions) {
  const tasks = Array.from({ length: options.writers }, (_, slot) => newTask(slot));
  await store.propose(
    tasks.map((object): Change => ({ op: 'put', table: 'task', object, base: 0 })),
    { atMs },
  );
  return load(options, async (writer, message) => {
    const id = tasks[writer]?.id ?? '';
    const status = { state: 'running', atMs, message } as const;
    await store.propose([{ op: 'task-status', id, status }], { atMs });
  });
}

function newTask(slot: number): Task {
  return {
    id: random.id(),
    meta: { version: 0, createdAtMs: atMs, updatedAtMs: atMs },
    serviceId: '',
    slot,
    nodeId: '',
    spec: { container: { image: 'none' }, forceUpdate: 0 },
    specVersion: 1,
    name: `bench.${slot}`,
    serviceName: 'bench',
    desiredState: 'running',
    status: { state: 'new', atMs, message: '' },
  } as unknown as Task;
}
