/** When a health check runs next, and what its results make of the container: Docker's rules. */
import type { HealthCheck } from '../../types/index.ts';
import type { Health } from './machine.ts';

export interface ResolvedHealthCheck {
  /** The command as it is executed. */
  readonly argv: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

const defaults = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
};

/** The spec's check over the image's, field by field. Nothing where there is no check. */
export function resolveHealthCheck(
  spec: HealthCheck | undefined,
  image: HealthCheck | undefined,
  shell: readonly string[] = [],
): ResolvedHealthCheck | undefined {
  const test = spec?.test?.length ? spec.test : (image?.test ?? []);
  const argv = commandOf(test, shell.length === 0 ? defaultShell : shell);
  if (argv === undefined) return undefined;
  // Zero means "inherit" in Docker's API.
  const pick = (field: keyof typeof defaults) => spec?.[field] || image?.[field] || defaults[field];
  return {
    argv,
    intervalMs: pick('intervalMs'),
    timeoutMs: pick('timeoutMs'),
    startPeriodMs: pick('startPeriodMs'),
    startIntervalMs: pick('startIntervalMs'),
    retries: pick('retries'),
  };
}

/** What takes a command as one text. */
const defaultShell = ['/bin/sh', '-c'];

function commandOf(
  test: readonly string[],
  shell: readonly string[],
): readonly string[] | undefined {
  const [kind, ...rest] = test;
  if (kind === undefined || kind === 'NONE' || rest.length === 0) return undefined;
  return kind === 'CMD-SHELL' ? [...shell, rest.join(' ')] : rest;
}

export interface HealthState {
  readonly health: Exclude<Health, 'unchecked'>;
  readonly failingStreak: number;
  readonly startedAtMs: number;
}

export function initialHealth(startedAtMs: number): HealthState {
  return { health: 'starting', failingStreak: 0, startedAtMs };
}

/** Until the next probe, counted from the end of the last one or from the start. */
export function probeDelayMs(
  state: HealthState,
  check: ResolvedHealthCheck,
  nowMs: number,
): number {
  return inStartPeriod(state, check, nowMs)
    ? Math.min(check.startIntervalMs, check.intervalMs)
    : check.intervalMs;
}

/** A failure within the start period does not count; the first success ends that period. */
export function afterProbe(
  state: HealthState,
  check: ResolvedHealthCheck,
  result: { readonly passed: boolean; readonly atMs: number },
): HealthState {
  if (result.passed) return { ...state, health: 'healthy', failingStreak: 0 };
  if (inStartPeriod(state, check, result.atMs)) return state;
  const failingStreak = state.failingStreak + 1;
  const health = failingStreak >= check.retries ? 'unhealthy' : state.health;
  return { ...state, failingStreak, health };
}

function inStartPeriod(state: HealthState, check: ResolvedHealthCheck, nowMs: number): boolean {
  return state.health === 'starting' && nowMs - state.startedAtMs < check.startPeriodMs;
}
