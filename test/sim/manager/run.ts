/** `npm run sim:manager -- --seeds N [--seed S] [--verbose]`: simulates whole swarms. */
import { parseArgs } from 'node:util';
import { commit } from '../run.ts';
import type { Planted } from './planted.ts';
import { settingsFor, type Settings } from './settings.ts';
import { Swarm, type Result } from './swarm.ts';

interface RunOptions {
  readonly seed: number;
  readonly planted?: Planted;
  readonly change?: Partial<Settings>;
  readonly say?: (line: string) => void;
}

/** Throws whatever goes wrong. */
export async function runManager({ seed, planted, change, say }: RunOptions): Promise<Result> {
  return new Swarm({ ...settingsFor(seed), ...change }, planted, say).run();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      seed: { type: 'string' },
      from: { type: 'string', default: '1' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const first = Number(values.seed ?? values.from);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const say = values.verbose ? (line: string) => console.log(line) : undefined;
  const total = { entries: 0, acknowledged: 0, elections: 0, healedMs: 0 };
  let failures = 0;
  for (let seed = first; seed < first + count; seed++) {
    try {
      const result = await runManager({ seed, ...(say === undefined ? {} : { say }) });
      total.entries += result.entries;
      total.acknowledged += result.acknowledged;
      total.elections += result.elections;
      total.healedMs = Math.max(total.healedMs, result.healedMs);
      if (count === 1) console.log(result);
    } catch (error) {
      failures += 1;
      console.log(`seed ${seed} of commit ${commit()} fails: ${String(error)}`);
      if (count === 1) console.log(error);
      console.log(`  npm run sim:manager -- --seed ${seed} --verbose`);
    }
  }
  console.log(
    `${count} runs, ${failures} failed: ${total.entries} entries, ${total.acknowledged} ` +
      `acknowledged, ${total.elections} elections, healed within ${total.healedMs} ms`,
  );
  process.exitCode = failures === 0 ? 0 : 1;
}

if (import.meta.main) await main();
