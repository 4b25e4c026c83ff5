/** How the unlock key of a swarm is shown, and asked for. */
import { text as allOf } from 'node:stream/consumers';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { commandError } from '../command/errors.ts';
import type { Output } from '../format/output.ts';
import { askHidden } from '../image/questions.ts';

/** Throws where autolock is off. */
export async function fetchUnlockKey(client: Client): Promise<string> {
  const { UnlockKey: key } = await client.get<{ UnlockKey: string }>('/swarm/unlockkey');
  if (key === '') throw commandError('no unlock key is set');
  return key;
}

export function printUnlockCommand(out: Output, key: string): void {
  out.line('To unlock a swarm manager after it restarts, run the `ts-swarm unlock`');
  out.line('command and provide the following key:');
  out.line('');
  out.line(`    ${key}`);
  out.line('');
  out.line('Remember to store this key in a password manager, since without it you');
  out.line('will not be able to restart the manager.');
}

/** From a terminal, which then shows nothing of it, or the first line of what is piped in. */
export async function readUnlockKey(context: Context): Promise<string> {
  if (context.stdin.isTTY !== true) {
    return (await allOf(context.stdin)).split('\n')[0]?.trim() ?? '';
  }
  return askHidden(context, 'Enter unlock key: ');
}
