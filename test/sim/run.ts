/** Runs simulations, and tells of a failure so that it can be run again. */
import { execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { CoreMember } from './core-member.ts';
import { NodeMember } from './node-member.ts';
import type { Sabotage } from './sabotage.ts';
import { settingsFor, type Settings } from './settings.ts';
import { World, type MakeMember, type RunResult } from './world.ts';

interface RunOptions {
  readonly seed: number;
  readonly sabotage?: Sabotage;
  /** Instead of those that the seed gives. */
  readonly settings?: Settings;
  /** Is told of everything that happens. */
  readonly say?: (line: string) => void;
}

export type Kind = 'core' | 'node';

/** The bare core on a modelled disk. Throws whatever goes wrong. */
export function runCore({ seed, sabotage, settings, say }: RunOptions): RunResult {
  const world = new World(
    settings ?? settingsFor(seed),
    (id, around) => new CoreMember(id, around, sabotage),
    say,
  );
  world.begin();
  while (world.step());
  return world.result();
}

/** The real node on its log. All of its promises are settled before the next event. */
export async function runNode({ seed, settings, say }: RunOptions): Promise<RunResult> {
  const made: NodeMember[] = [];
  const make: MakeMember = (id, around) => {
    const member = new NodeMember(id, around);
    made.push(member);
    return member;
  };
  const world = new World(settings ?? settingsFor(seed), make, say);
  for (const member of made) await member.prepare();
  world.begin();
  await turn();
  while (world.step()) {
    await turn();
    world.observe();
  }
  return world.result();
}

export async function runSeed(kind: Kind, options: RunOptions): Promise<RunResult> {
  return kind === 'core' ? runCore(options) : runNode(options);
}

/** Says how to see it again; `flags` are what else the run was given. */
export function failureOf(kind: Kind, seed: number, error: unknown, flags = ''): Error {
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const again = `npm run sim -- --kind ${kind} --seed ${seed}${flags} --trace`;
  return new Error(`seed ${seed} at commit ${commit()}: ${why}\nto see it again: ${again}`, {
    cause: error,
  });
}

/** The state of the code: a seed says nothing without it. */
export function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--', '../../raft', '.') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}
