/** The verbs of secrets and configs. */
import type { Verb } from './tree.ts';

export const secretVerbs = {
  create: {
    short: 'Create a secret from a file or STDIN as content',
    load: () => import('../commands/secret/create.ts'),
  },
  inspect: {
    short: 'Display detailed information on one or more secrets',
    load: () => import('../commands/secret/inspect.ts'),
  },
  ls: {
    short: 'List secrets',
    aliases: ['list'],
    load: () => import('../commands/secret/ls.ts'),
  },
  rm: {
    short: 'Remove one or more secrets',
    aliases: ['remove'],
    load: () => import('../commands/secret/rm.ts'),
  },
} as const satisfies Record<string, Verb>;

export const configVerbs = {
  create: {
    short: 'Create a config from a file or STDIN',
    load: () => import('../commands/config/create.ts'),
  },
  inspect: {
    short: 'Display detailed information on one or more configs',
    load: () => import('../commands/config/inspect.ts'),
  },
  ls: {
    short: 'List configs',
    aliases: ['list'],
    load: () => import('../commands/config/ls.ts'),
  },
  rm: {
    short: 'Remove one or more configs',
    aliases: ['remove'],
    load: () => import('../commands/config/rm.ts'),
  },
} as const satisfies Record<string, Verb>;
