/** Whether and when a container that has ended is started again: Docker's rules. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerRestartPolicy } from '../../types/index.ts';

const firstDelayMs = 100;
const delayMaxMs = 60_000;
/** After so long a run, the next end counts as the first again. */
const settledMs = 10_000;

interface Ended {
  readonly exitCode: number;
  readonly ranMs: number;
  /** How often it has been started again since somebody started it. */
  readonly restartCount: number;
  /** It was stopped or killed by a person. */
  readonly wasStopped: boolean;
}

export function shouldRestart(
  { name, maximumRetryCount }: ContainerRestartPolicy,
  ended: Ended,
): boolean {
  if (ended.wasStopped) return false;
  if (name === 'always' || name === 'unless-stopped') return true;
  if (name !== 'on-failure' || ended.exitCode === 0) return false;
  return maximumRetryCount === 0 || ended.restartCount < maximumRetryCount;
}

/** `lastMs`: the delay before, 0 for the first. */
export function nextDelayMs(lastMs: number, ranMs: number): number {
  if (lastMs === 0 || ranMs >= settledMs) return firstDelayMs;
  return Math.min(lastMs * 2, delayMaxMs);
}

/** Whether a container that does not run is started when the daemon is. */
export function startsWithDaemon(
  { name }: ContainerRestartPolicy,
  { wasStopped, hasRun }: { readonly wasStopped: boolean; readonly hasRun: boolean },
): boolean {
  return hasRun && (name === 'always' || (name === 'unless-stopped' && !wasStopped));
}

/** Throws `invalid-argument` in Docker's words. */
export function checkRestartPolicy(policy: ContainerRestartPolicy, autoRemove: boolean): void {
  const { name, maximumRetryCount } = policy;
  const fail = (reason: string) => {
    throw new SwarmError('invalid-argument', `invalid restart policy: ${reason}`);
  };
  if (!['', 'no', 'always', 'unless-stopped', 'on-failure'].includes(name)) {
    fail(`unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  }
  if (name !== 'on-failure' && maximumRetryCount !== 0) {
    fail("maximum retry count can only be used with 'on-failure'");
  }
  if (maximumRetryCount < 0) fail('maximum retry count cannot be negative');
  if (autoRemove && name !== '' && name !== 'no') {
    throw new SwarmError(
      'invalid-argument',
      "can't create 'AutoRemove' container with restart policy",
    );
  }
}
