/** The verbs of `ts-swarm stack`. */
import type { Verb } from './tree.ts';

export const stackVerbs = {
  config: {
    short: 'Print the merged Compose files',
    load: () => import('../commands/stack/config.ts'),
  },
  deploy: {
    short: 'Deploy a new stack or update an existing stack',
    aliases: ['up'],
    load: () => import('../commands/stack/deploy.ts'),
  },
  ls: { short: 'List stacks', aliases: ['list'], load: () => import('../commands/stack/ls.ts') },
  plan: {
    short: 'Print what a deployment would change',
    load: () => import('../commands/stack/plan.ts'),
  },
  ps: {
    short: 'List the tasks in the stack',
    load: () => import('../commands/stack/ps.ts'),
  },
  rm: {
    short: 'Remove one or more stacks',
    aliases: ['remove', 'down'],
    load: () => import('../commands/stack/rm.ts'),
  },
  services: {
    short: 'List the services in the stack',
    load: () => import('../commands/stack/services.ts'),
  },
} as const satisfies Record<string, Verb>;
