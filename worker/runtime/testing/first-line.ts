import type { Runtime } from '../runtime.ts';

/** Waits until the container has written: then it runs, and its traps are set. */
export async function firstLine(runtime: Runtime, id: string): Promise<void> {
  const query = { follow: true, stdout: true, stderr: true };
  const lines = runtime.logs(id, query)[Symbol.asyncIterator]();
  await lines.next();
  await lines.return?.();
}
