/** --network of `service create`, --network-add and --network-rm of `service update`. */
import type { NetworkAttachment } from '../../types/index.ts';
import type { Client } from '../client/index.ts';
import { commandError } from '../command/errors.ts';
import { list, listOf, type FlagValues } from '../command/flags.ts';
import { parseCsv, splitPair } from '../format/parse.ts';
import { findNetwork } from '../network/options.ts';
import type { SpecDraft } from './draft.ts';
import type { SpecFlag } from './spec-flag.ts';

const word = { word: 'network' };
const create = listOf('network', 'Network attachments', parseNetwork, word);
const add = listOf('network-add', 'Add a network', parseNetwork, word);
const rm = list('network-rm', 'Remove a network');

/** What an update makes of networks is `changeNetworks`' affair: it has to ask the daemon. */
export const networkFlag: SpecFlag = {
  flags: (verb) => (verb === 'create' ? [create] : [add, rm]),
  apply(spec, values) {
    const networks = values.get(create);
    if (networks !== undefined) spec.task.networks = networks as never;
  },
};

/** A network's name, or `name=net,alias=a,driver-opt=k=v`. */
function parseNetwork(value: string): NetworkAttachment {
  if (!value.includes('=')) return { target: value };
  let target = '';
  const aliases: string[] = [];
  const driverOpts: Record<string, string> = {};
  for (const field of parseCsv(value)) {
    const [written, given = ''] = splitPair(field);
    const key = written.trim().toLowerCase();
    if (key === 'name') target = given;
    else if (key === 'alias') aliases.push(given);
    else if (key === 'driver-opt') {
      const [name, setting] = splitPair(given);
      if (setting === undefined) throw new Error('invalid key value pair format in driver options');
      driverOpts[name.trim().toLowerCase()] = setting;
    } else throw new Error(`invalid field key ${written}`);
  }
  if (target === '') throw new Error('network name/id is not specified');
  return {
    target,
    ...(aliases.length === 0 ? {} : { aliases }),
    ...(Object.keys(driverOpts).length === 0 ? {} : { driverOpts }),
  };
}

/** Specs hold ids where users have names, so that each one is looked up. */
export async function changeNetworks(
  spec: SpecDraft,
  values: FlagValues,
  client: Client,
): Promise<void> {
  const added = values.get(add) ?? [];
  const removed = values.get(rm) ?? [];
  if (added.length === 0 && removed.length === 0) return;
  const gone = new Set(await Promise.all(removed.map((name) => idOf(client, name))));
  const networks = (spec.task.networks ?? []).filter(({ target }) => !gone.has(target));
  for (const attachment of added) {
    const target = await idOf(client, attachment.target);
    if (networks.some((one) => one.target === target)) {
      throw commandError(`service is already attached to network ${attachment.target}`);
    }
    networks.push({ ...attachment, target } as (typeof networks)[number]);
  }
  spec.task.networks = networks;
}

async function idOf(client: Client, reference: string): Promise<string> {
  return (await findNetwork(client, reference, { scope: 'swarm' })).Id;
}

/** The names of the service's networks, by their ids; an id of which nothing is known is its own. */
export async function networkNames(
  client: Client,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.allSettled(
    ids.map((id) => findNetwork(client, id, { scope: 'swarm' })),
  );
  return new Map(
    found.flatMap((one) => (one.status === 'fulfilled' ? [[one.value.Id, one.value.Name]] : [])),
  );
}
