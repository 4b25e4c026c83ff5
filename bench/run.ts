/**
 * npm run bench -- NAME [--flag=value]
 *
 * Runs bench/NAME.ts, prints what it measured and keeps it in bench/results/NAME.json.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/errors.ts';
import { ratiosOf, round, type BenchResult, type Metrics, type Run } from './bench.ts';

const folder = import.meta.dirname;

await main().catch((error: unknown) => {
  console.error(`bench: ${messageOf(error)}`);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const [name, ...rest] = process.argv.slice(2);
  const path = join(folder, `${name ?? ''}.ts`);
  if (name === undefined || !/^[a-z0-9-]+$/.test(name) || !existsSync(path)) {
    throw new Error(
      `usage: npm run bench -- NAME [--flag=value]; NAME is one of ${names().join(', ')}`,
    );
  }
  const { run, flagNames = [] } = (await import(path)) as {
    run?: Run;
    flagNames?: readonly string[];
  };
  if (run === undefined) throw new Error(`bench/${name}.ts has no function run`);
  const flags = flagsOf(rest);
  const unknown = Object.keys(flags).find((flag) => !flagNames.includes(flag));
  if (unknown !== undefined) {
    const known = flagNames.map((flag) => `--${flag}`).join(', ') || 'none';
    throw new Error(`${name} has no flag --${unknown}; it has ${known}`);
  }
  const result = await run({ flags, say: (line) => console.log(`  ${line}`) });
  const record = recordOf(result.recordAs ?? name, result);
  mkdirSync(join(folder, 'results'), { recursive: true });
  writeFileSync(
    join(folder, 'results', `${record.name}.json`),
    `${JSON.stringify(record, null, 2)}\n`,
  );
  print(record);
}

interface BenchRecord {
  readonly name: string;
  readonly commit: string;
  readonly date: string;
  readonly ours: Metrics;
  readonly peer: Metrics;
  readonly ratios: Metrics;
  readonly variants?: Readonly<
    Record<string, { readonly peer: Metrics; readonly ratios: Metrics }>
  >;
}

function recordOf(name: string, result: BenchResult): BenchRecord {
  const ours = rounded(result.ours);
  const peer = rounded(result.peer ?? {});
  const variants = Object.entries(result.variants ?? {}).map(([variant, metrics]) => {
    const own = rounded(metrics);
    return [variant, { peer: own, ratios: ratiosOf(ours, own) }] as const;
  });
  return {
    name,
    commit: commit(),
    date: new Date().toISOString(),
    ours,
    peer,
    ratios: { ...ratiosOf(ours, peer), ...rounded(result.ratios ?? {}) },
    ...(variants.length === 0 ? {} : { variants: Object.fromEntries(variants) }),
  };
}

function rounded(metrics: Metrics): Metrics {
  return Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, round(value)]));
}

function print(record: BenchRecord): void {
  const keys = new Set([...Object.keys(record.ours), ...Object.keys(record.peer)]);
  for (const key of Object.keys(record.ratios)) keys.add(key);
  const rows = [...keys].map((metric) => ({
    metric,
    ours: record.ours[metric] ?? '',
    peer: record.peer[metric] ?? '',
    'times better': record.ratios[metric] ?? '',
    ...Object.fromEntries(
      Object.entries(record.variants ?? {}).flatMap(([variant, { peer, ratios }]) => [
        [`peer, ${variant}`, peer[metric] ?? ''],
        [`times better, ${variant}`, ratios[metric] ?? ''],
      ]),
    ),
  }));
  const titles = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => titles.map((title) => String(row[title as keyof typeof row])));
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  for (const row of [titles, ...cells]) {
    const line = row.map((cell, index) =>
      index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0),
    );
    console.log(line.join('  '));
  }
}

function flagsOf(argv: readonly string[]): Record<string, string> {
  const { tokens } = parseArgs({ args: [...argv], strict: false, tokens: true });
  const flags: Record<string, string> = {};
  for (const token of tokens) {
    if (token.kind !== 'option')
      throw new Error(`'${argv.join(' ')}': flags look like --name=value`);
    flags[token.name] = token.value ?? '';
  }
  return flags;
}

/** The benches are the modules that export `run`: all but this one and what they share. */
function names(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -3))
    .filter((name) => name !== 'run' && name !== 'bench');
}

/** With "+" behind it when the tree differs from the commit. */
function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '..') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
