/** Questions before something is taken away, in Docker's words. */
import type { Context } from './context.ts';
import { bool } from './flags.ts';

export const forceFlag = bool('force', 'Do not prompt for confirmation', { short: 'f' });

/** Whether the user says yes. Nobody there to answer means no. */
export async function isConfirmed(context: Context, question: string): Promise<boolean> {
  context.out.write(`${question}\nAre you sure you want to continue? [y/N] `);
  let answer = '';
  for await (const chunk of context.stdin) {
    answer += String(chunk);
    if (answer.includes('\n')) break;
  }
  return answer.split('\n')[0]?.trim().toLowerCase() === 'y';
}
