/** The verbs of `ts-swarm container`, and which of them go without that word as well. */
import type { Verb } from './tree.ts';

export const containerVerbs = {
  inspect: {
    short: 'Display detailed information on one or more containers',
    load: () => import('../commands/container/inspect.ts'),
  },
  kill: {
    short: 'Kill one or more running containers',
    load: () => import('../commands/container/kill.ts'),
  },
  logs: {
    short: 'Fetch the logs of a container',
    load: () => import('../commands/container/logs.ts'),
  },
  ls: {
    short: 'List containers',
    aliases: ['list', 'ps'],
    load: () => import('../commands/container/ls.ts'),
  },
  pause: {
    short: 'Pause all processes within one or more containers',
    load: () => import('../commands/container/pause.ts'),
  },
  prune: {
    short: 'Remove all stopped containers',
    load: () => import('../commands/container/prune.ts'),
  },
  rename: { short: 'Rename a container', load: () => import('../commands/container/rename.ts') },
  restart: {
    short: 'Restart one or more containers',
    load: () => import('../commands/container/restart.ts'),
  },
  rm: {
    short: 'Remove one or more containers',
    aliases: ['remove'],
    load: () => import('../commands/container/rm.ts'),
  },
  start: {
    short: 'Start one or more stopped containers',
    load: () => import('../commands/container/start.ts'),
  },
  stop: {
    short: 'Stop one or more running containers',
    load: () => import('../commands/container/stop.ts'),
  },
  top: {
    short: 'Display the running processes of a container',
    load: () => import('../commands/container/top.ts'),
  },
  unpause: {
    short: 'Unpause all processes within one or more containers',
    load: () => import('../commands/container/unpause.ts'),
  },
  wait: {
    short: 'Block until one or more containers stop, then print their exit codes',
    load: () => import('../commands/container/wait.ts'),
  },
} as const satisfies Record<string, Verb>;

const { ls, rm, inspect: _inspect, prune: _prune, ...others } = containerVerbs;

/** As Docker knows them; left out of --help. */
export const containerAliases: Readonly<Record<string, Verb>> = Object.fromEntries(
  Object.entries({ ...others, ps: { ...ls, aliases: [] }, rm: { ...rm, aliases: [] } }).map(
    ([name, verb]) => [name, { ...verb, hidden: true }],
  ),
);
