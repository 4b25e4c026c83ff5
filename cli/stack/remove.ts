/** Takes a stack away: services first, then what they used. */
import { SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { isOf, readState } from './state.ts';

/** A network is in use until the last task has left it, which is told its time to stop. */
const networkPatienceMs = 30_000;
const againMs = 200;

/** Goes on after a failure, and throws all of them at the end. */
export async function removeStack(context: Context, client: Client, name: string): Promise<void> {
  const state = await readState(client, name);
  const secrets = state.secrets.filter(({ Spec }) => isOf(name, Spec.Labels));
  const configs = state.configs.filter(({ Spec }) => isOf(name, Spec.Labels));
  const networks = state.networks.filter(({ Labels }) => isOf(name, Labels));
  const all = [...state.services, ...secrets, ...configs, ...networks];
  if (all.length === 0) {
    context.err.line(`Nothing found in stack: ${name}`);
    return;
  }
  const failures: string[] = [];
  const remove = async (what: string, called: string, path: string, patienceMs = 0) => {
    context.out.line(`Removing ${what} ${called}`);
    try {
      await removeOne(context, client, path, patienceMs);
    } catch (error) {
      failures.push(`failed to remove ${what} ${called}: ${SwarmError.from(error).message}`);
    }
  };
  for (const { ID, Spec } of state.services) {
    await remove('service', Spec.Name ?? ID, `/services/${ID}`);
  }
  for (const { ID, Spec } of secrets) await remove('secret', Spec.Name, `/secrets/${ID}`);
  for (const { ID, Spec } of configs) await remove('config', Spec.Name, `/configs/${ID}`);
  for (const { Id, Name } of networks) {
    await remove('network', Name, `/networks/${Id}`, networkPatienceMs);
  }
  if (failures.length > 0) throw new SwarmError('failed-precondition', failures.join('\n'));
}

/** What is gone already was to go. */
async function removeOne(
  context: Context,
  client: Client,
  path: string,
  patienceMs: number,
): Promise<void> {
  const untilMs = context.clock.monotonicMs() + patienceMs;
  for (;;) {
    try {
      await client.json('DELETE', path);
      return;
    } catch (error) {
      const { code, details } = SwarmError.from(error);
      if (code === 'not-found') return;
      const mayPass = details['status'] !== undefined && context.clock.monotonicMs() < untilMs;
      if (!mayPass) throw error;
      await context.clock.sleep(againMs);
    }
  }
}
