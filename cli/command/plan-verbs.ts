/** The verbs of `plan service`: as those of `service`, but nothing is done. */
import type { Verb } from './tree.ts';

export const planVerbs = {
  create: {
    short: 'Say what service create would do',
    load: () => import('../commands/plan/create.ts'),
  },
  rm: {
    short: 'Say what service rm would do',
    aliases: ['remove'],
    load: () => import('../commands/plan/rm.ts'),
  },
  scale: {
    short: 'Say what service scale would do',
    load: () => import('../commands/plan/scale.ts'),
  },
  update: {
    short: 'Say what service update would do',
    load: () => import('../commands/plan/update.ts'),
  },
} as const satisfies Record<string, Verb>;
