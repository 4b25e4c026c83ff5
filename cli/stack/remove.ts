/** Takes a stack away: services first, then what they used. */
import { SwarmError } from '../../lib/errors.ts';
import { stackLabel } from '../../compose/index.ts';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { listTasks } from '../service/lookup.ts';
import { isOf, readState } from './state.ts';

/** A network is in use until the last task has left it, which is told its time to stop. */
const networkPatienceMs = 30_000;
const againMs = 200;
/** Longer than the time that most containers are given to stop. */
const goneTimeoutMs = 120_000;

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

/** Until no task of the stack is left on any node. Throws `deadline-exceeded` with their number. */
export async function waitGone(context: Context, client: Client, name: string): Promise<void> {
  const untilMs = context.clock.monotonicMs() + goneTimeoutMs;
  for (;;) {
    const left = await listTasks(client, { label: [`${stackLabel}=${name}`] });
    if (left.length === 0) return;
    if (context.clock.monotonicMs() > untilMs) {
      throw new SwarmError(
        'deadline-exceeded',
        `stack ${name} is removed, and ${left.length} of its tasks have not ended yet`,
      );
    }
    await context.clock.sleep(againMs);
  }
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
