/**
 * Connections may be dead without knowing it. After a cut of the link, what was sent before is
 * repeated by the kernel only after pauses that have grown meanwhile, on new connections too. So a
 * question without an answer is asked again on a fresh connection, and the first answer counts.
 */
import type { Clock, Timer } from '../../../lib/clock.ts';

export interface Call<T> {
  readonly answer: Promise<T>;
  /** Whether it went over a connection that had been used before; known once it has failed. */
  readonly isReused: () => boolean;
  cancel(reason: Error): void;
}

interface Patience {
  /** When to ask again, counted from the first time. */
  readonly againMs: readonly number[];
  /** When to give up. */
  readonly limitMs: number;
  readonly lateError: () => Error;
}

/**
 * `ask` begins a call, on a fresh connection where it is told so. Rejects with the failure of a call
 * as soon as no other one is under way; a used connection's failure leads to a fresh one first.
 */
export function firstAnswer<T>(
  ask: (isFresh: boolean) => Call<T>,
  { againMs, limitMs, lateError }: Patience,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const calls = new Set<Call<T>>();
  const timers: Timer[] = [];
  let isOver = false;
  const end = (reason: Error) => {
    isOver = true;
    for (const timer of timers) timer.cancel();
    signal?.removeEventListener('abort', onAbort);
    for (const call of calls) call.cancel(reason);
    calls.clear();
  };
  const fail = (error: Error) => {
    if (isOver) return;
    end(error);
    reject(error);
  };
  const onAbort = () => fail(signal?.reason as Error);
  const begin = (isFresh: boolean) => {
    const call = ask(isFresh);
    calls.add(call);
    call.answer.then(
      (answer) => {
        calls.delete(call);
        if (isOver) return;
        end(new Error('another call was answered first'));
        resolve(answer);
      },
      (error: Error) => {
        calls.delete(call);
        if (isOver) return;
        if (!isFresh && call.isReused()) begin(true);
        else if (calls.size === 0) fail(error);
      },
    );
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  timers.push(clock.after(limitMs, () => fail(lateError())));
  for (const delayMs of againMs) timers.push(clock.after(delayMs, () => begin(true)));
  begin(false);
  return promise;
}
