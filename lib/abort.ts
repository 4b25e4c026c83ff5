/**
 * A controller that aborts when its parent does, and lets go of it when disposed. AbortSignal.any
 * keeps about a kilobyte on a long-lived parent for every call; a disposed link keeps nothing.
 */
export function linkAbort(parent: AbortSignal | undefined): AbortController & Disposable {
  const controller = new AbortController();
  const onAbort = () => controller.abort(parent?.reason);
  if (parent?.aborted) onAbort();
  else parent?.addEventListener('abort', onAbort, { once: true });
  return Object.assign(controller, {
    [Symbol.dispose]: () => parent?.removeEventListener('abort', onAbort),
  });
}

/** Rejects with the signal's reason as soon as it aborts; else settles as `promise` does. */
export async function withAbort<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Also after an abort somebody listens to `promise`: its own failure would end the process.
    return await Promise.race([aborted, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
