/** Where a node's keys are taken from and put to, as it becomes a manager, or ceases to be one. */
import type { Clock } from '../lib/clock.ts';
import { NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import { KeyStore } from '../manager/keys/index.ts';

interface Parts {
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The identity of a daemon that starts, and a manager's keys. Throws SwarmError `unavailable` with
 * the detail `reason: 'locked'` where an unlock key is needed, and `unauthenticated` for a wrong
 * one.
 */
export async function loadIdentityAndKeys(
  folder: string,
  parts: Parts,
  unlockKey?: string,
): Promise<{ identity: NodeIdentity | undefined; keys: KeyStore | undefined }> {
  const keys = await KeyStore.open(folder, partsOf(parts), unlockKey);
  const identity = await NodeIdentity.load(folder, parts.clock, keys?.protection);
  return { identity, keys };
}

/**
 * A manager's keys, made where there are none, and its private key encrypted with them. A worker
 * has none: it starts without a person, also in a swarm whose managers are locked.
 */
export async function keysFor(
  isManager: boolean,
  identity: NodeIdentity,
  present: KeyStore | undefined,
  parts: Parts,
): Promise<KeyStore | undefined> {
  if (!isManager) {
    await identity.protect();
    await KeyStore.remove(identity.folder);
    return undefined;
  }
  const keys = present ?? (await KeyStore.create(identity.folder, partsOf(parts)));
  await identity.protect(keys.protection);
  await keys.forgetNodeSecrets();
  return keys;
}

function partsOf({ clock, log }: Parts) {
  return {
    nowMs: () => clock.nowMs(),
    onProblem: (error: unknown) => log.warn("cannot replace the manager's keys", { error }),
  };
}
