/** Where this manager's store is, if that is not a log of its own: one file, as secret as a key. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Group as GroupService } from '../gen/raft_pb.js';
import { messageOf, SwarmError } from '../lib/errors.ts';
import type { NodeIdentity } from '../lib/identity/index.ts';
import { parseStore, type ExternalStore } from '../manager/store/index.ts';
import type { Membership } from './membership.ts';

const callTimeoutMs = 10_000;

/**
 * What this node's manager stands on; without a store: Raft, or the node is no manager. A new swarm is told
 * (`given`), a joining manager asks the one that lets it in, and a restart reads what was written.
 */
export async function externalStoreFor(
  folder: string,
  { isManager, joinedThrough }: Membership,
  identity: NodeIdentity,
  given?: ExternalStore,
): Promise<{ readonly store?: ExternalStore }> {
  const path = join(folder, 'store.json');
  if (!isManager) {
    rmSync(path, { force: true });
    return {};
  }
  if (existsSync(path)) return { store: read(path) };
  const isRaft = existsSync(join(folder, 'raft'));
  const store =
    given ??
    (isRaft || joinedThrough === undefined ? undefined : await ask(joinedThrough, identity));
  if (store === undefined) return {};
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(path, `${JSON.stringify(store, null, 2)}\n`, { mode: 0o600, flush: true });
  return { store };
}

/** Throws SwarmError `invalid-argument` for an address that cannot be one. */
export function checkedStore({ store }: { readonly store?: ExternalStore }): {
  readonly store?: ExternalStore;
} {
  if (store === undefined) return {};
  parseStore(store);
  return { store };
}

async function ask(addr: string, identity: NodeIdentity): Promise<ExternalStore | undefined> {
  using connection = identity.connect(addr);
  const group = connection.client(GroupService);
  const { store } = await group.findStore({}, { timeoutMs: callTimeoutMs });
  if (store.length === 0) return undefined;
  return JSON.parse(Buffer.from(store).toString('utf8')) as ExternalStore;
}

function read(path: string): ExternalStore {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ExternalStore;
  } catch (error) {
    throw new SwarmError(
      'failed-precondition',
      `${path} cannot be read (${messageOf(error)}): restore the file, or leave the swarm with ` +
        '--force and join again',
      { cause: error },
    );
  }
}
