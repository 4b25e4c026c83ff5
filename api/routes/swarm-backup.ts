/** Backups of the swarm, which Docker's API has no route for. */
import { withAbort } from '../../lib/abort.ts';
import { SwarmError } from '../../lib/errors.ts';
import { planBatches, type RestoreCounts } from '../../manager/control/index.ts';
import { decodeBackup, openBackup, type Backup } from '../../manager/store/index.ts';
import type { Exchange } from '../exchange.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';
import { externalStore, withPort } from './swarm.ts';

/** A swarm of a hundred thousand tasks is a tenth of this. */
const maxBackupBytes = 1 << 30;
const contentType = 'application/vnd.ts-swarm.backup';
/** Base64url of the passphrase's UTF-8. A header, as URLs are written to logs. */
const passphraseHeader = 'x-swarm-passphrase';
/** Base64url of what init takes as "Store". */
const storeHeader = 'x-swarm-store';
const availabilities = ['active', 'pause', 'drain'] as const;

export function swarmBackupRoutes(modules: RouteModules): Route[] {
  return [
    { method: 'GET', path: '/swarm/backup', handle: (exchange) => save(exchange, modules) },
    { method: 'POST', path: '/swarm/restore', handle: (exchange) => restore(exchange, modules) },
  ];
}

async function save(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const passphrase = passphraseOf(exchange);
  const given = passphrase === undefined ? {} : { passphrase };
  const { encrypted, parts } = await backend.manager().backup(given);
  exchange.header('X-Swarm-Encrypted', String(encrypted));
  exchange.begin(contentType);
  for await (const part of parts) await exchange.write(part);
  exchange.end();
}

/**
 * Nothing is changed unless the whole file has arrived and is whole. A daemon outside of any swarm
 * becomes the first manager of the backup's; in a swarm, the backup's specs replace the present ones.
 */
async function restore(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { backend, events } = modules;
  const backup = await decodeBackup(await bodyBytes(exchange), passphraseOf(exchange));
  if (backend.swarm.status().state === 'inactive') {
    const { cluster, view } = openBackup(backup);
    const nodeId = await backend.swarm.restore({
      backup,
      ...placeOf(exchange),
      ...storeOf(exchange),
    });
    events.nudge();
    const services = [...view.services()].length;
    const nodes = [...view.nodes()].length;
    exchange.json({ ClusterID: cluster.id, NodeID: nodeId, Services: services, Nodes: nodes });
    return;
  }
  const { created, updated, removed } = await restoreSpecs(exchange, modules, backup);
  exchange.json({ Created: created, Updated: updated, Removed: removed });
}

async function restoreSpecs(
  exchange: Exchange,
  { backend }: RouteModules,
  backup: Backup,
): Promise<RestoreCounts> {
  const manager = backend.manager();
  if (!exchange.flag('force')) {
    throw new SwarmError(
      'failed-precondition',
      'this node is in a swarm: --force makes the services, the labels and availability of nodes, ' +
        'and the settings of this swarm those of the backup; to restore the swarm as a whole, ' +
        'choose a host outside of any swarm',
    );
  }
  const { view } = openBackup(backup);
  let total: RestoreCounts = { created: 0, updated: 0, removed: 0 };
  for (const batch of planBatches(await manager.read(), view)) {
    const { created, updated, removed } = await manager.control.restore({
      ...batch,
      ...exchange.asked,
    });
    total = {
      created: total.created + created,
      updated: total.updated + updated,
      removed: total.removed + removed,
    };
  }
  return total;
}

function placeOf({ query }: Exchange) {
  const addr = query.get('listenAddr') ?? '';
  const wish = query.get('availability') ?? 'active';
  const availability = availabilities.find((word) => word === wish);
  if (availability === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `availability "${wish}" is not one of ${availabilities.join(', ')}`,
    );
  }
  return {
    availability,
    listenAddr: withPort(addr === '' ? '0.0.0.0' : addr, 'listenAddr'),
    advertiseAddr: query.get('advertiseAddr') ?? '',
    dataPathAddr: query.get('dataPathAddr') ?? '',
  };
}

function passphraseOf({ request }: Exchange): string | undefined {
  const value = request.headers[passphraseHeader];
  if (typeof value !== 'string' || value === '') return undefined;
  return Buffer.from(value, 'base64url').toString('utf8');
}

function storeOf({ request }: Exchange) {
  const value = request.headers[storeHeader];
  if (typeof value !== 'string' || value === '') return {};
  try {
    const document = JSON.parse(Buffer.from(value, 'base64url').toString('utf8')) as unknown;
    return { store: externalStore.decode(document, 'Store') };
  } catch (error) {
    throw new SwarmError('invalid-argument', 'the header that names the store cannot be read', {
      cause: error,
    });
  }
}

async function bodyBytes({ request, signal }: Exchange): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const read = async () => {
    // Leaving the loop early must not break the connection: the answer goes over it.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const part = chunk as Buffer;
      bytes += part.length;
      if (bytes > maxBackupBytes) {
        throw new SwarmError('invalid-argument', `a backup is at most ${maxBackupBytes} bytes`, {
          details: { httpStatus: 413 },
        });
      }
      chunks.push(part);
    }
  };
  await withAbort(read(), signal);
  return Buffer.concat(chunks);
}
