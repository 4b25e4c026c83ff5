/** The verbs of secrets and configs, and of logins at registries. */
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
  revisions: {
    short: 'List the contents that a secret has had and that are kept',
    load: () => import('../commands/secret/revisions.ts'),
  },
  update: {
    short: 'Give a secret another content, and update the services that use it',
    load: () => import('../commands/secret/update.ts'),
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
  revisions: {
    short: 'List the contents that a config has had and that are kept',
    load: () => import('../commands/config/revisions.ts'),
  },
  update: {
    short: 'Give a config another content, and update the services that use it',
    load: () => import('../commands/config/update.ts'),
  },
} as const satisfies Record<string, Verb>;

export const registryVerbs = {
  login: {
    short: 'Log the swarm in at a registry',
    load: () => import('../commands/registry/login.ts'),
  },
  logout: {
    short: 'Log the swarm out of a registry',
    load: () => import('../commands/registry/logout.ts'),
  },
  ls: {
    short: 'List the registries that the swarm is logged in at',
    aliases: ['list'],
    load: () => import('../commands/registry/ls.ts'),
  },
} as const satisfies Record<string, Verb>;
