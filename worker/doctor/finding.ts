/** What an examination of a host says. */

export type Level = 'ok' | 'warning' | 'error';

export interface Finding {
  /** What was looked at: `kernel`, `data-path`, `ports`, `repairs`, `swarm`, `clock`, `limits`. */
  readonly check: string;
  readonly level: Level;
  /** A sentence: what is so, and where it is wrong, what to do. */
  readonly text: string;
}

export function finding(check: string, level: Level, text: string): Finding {
  return { check, level, text };
}
