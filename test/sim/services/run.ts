/** Runs random programs, and tells of one that fails by the shortest one that fails alike. */
import { commit } from '../run.ts';
import { Violation } from '../violation.ts';
import { execute, type ExecuteOptions, type Executed, type Outcome } from './execute.ts';
import { imageLines, randomProgram } from './program.ts';
import { shrink } from './shrink.ts';
import { serviceNames } from './words.ts';

/** What it was that failed, so that a shorter program is known to fail alike. */
export function ruleOf(failure: unknown): string {
  if (failure instanceof Violation) return failure.rule;
  return failure instanceof Error ? failure.name : 'unknown';
}

/** The same words of other services, tasks and numbers are the same failure. */
function kindOf(failure: unknown): string {
  const names = new RegExp(`\\b(?:${serviceNames.join('|')})\\b`, 'g');
  return String(failure)
    .replaceAll(/\b\w+\.\w+\.[0-9a-z]{25}\b/g, 'TASK')
    .replaceAll(/\b[0-9a-z]{25}\b/g, 'ID')
    .replaceAll(names, 'SERVICE')
    .replaceAll(/\b(?:[a-f]|\d+)\b/g, 'N')
    .slice(0, 120);
}

/** Throws an error with the seed and the shortened program. */
export async function runServices(seed: number, options: ExecuteOptions = {}): Promise<Executed> {
  const outcome = await execute(randomProgram(seed), { seed, ...options });
  if (outcome.failure === undefined) return outcome;
  throw new Error(await tell(seed, outcome, options), { cause: outcome.failure });
}

async function tell(seed: number, outcome: Outcome, options: ExecuteOptions): Promise<string> {
  const kind = kindOf(outcome.failure);
  let last = outcome;
  const lines = await shrink(outcome.lines, async (shorter) => {
    const again = await execute(shorter, { seed, ...options });
    const isAlike = again.failure !== undefined && kindOf(again.failure) === kind;
    if (isAlike) last = again;
    return isAlike;
  });
  return [
    `seed ${seed} of commit ${commit()} fails: ${String(outcome.failure)}`,
    `  npm run sim:services -- --seed ${seed}`,
    `shortened, it fails with ${String(last.failure)}`,
    ...[...imageLines(lines), ...lines].map((line) => `  ${line}`),
  ].join('\n');
}
