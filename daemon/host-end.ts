/** Whether this host is shutting down: systemd knows, where it runs. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Logger } from '../lib/log.ts';

const bootedBySystemd = '/run/systemd/system';
const timeoutMs = 1_000;

/** False where nobody can tell: the managers find out by silence. */
export function hostEnds(log: Logger): Promise<boolean> {
  if (!existsSync(bootedBySystemd)) return Promise.resolve(false);
  return new Promise((resolve) => {
    execFile('systemctl', ['is-system-running'], { timeout: timeoutMs }, (error, stdout) => {
      // Any state but "running" is an exit code, and so an error too.
      const state = stdout.trim();
      if (state === '' && error !== null) log.warn('systemd does not say how it is', { error });
      resolve(state === 'stopping');
    });
  });
}
