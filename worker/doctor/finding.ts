import type { Finding } from '../../types/index.ts';

export type { Finding };

export function finding(check: string, level: Finding['level'], text: string): Finding {
  return { check, level, text };
}
