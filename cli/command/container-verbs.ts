/** The verbs of `ts-swarm container`, and which of them go without that word as well. */
import type { Verb } from './tree.ts';

export const containerVerbs = {
  attach: {
    short: 'Attach local standard input, output, and error streams to a running container',
    load: () => import('../commands/container/attach.ts'),
  },
  commit: {
    short: "Create a new image from a container's changes",
    load: () => import('../commands/container/commit.ts'),
  },
  cp: {
    short: 'Copy files/folders between a container and the local filesystem',
    load: () => import('../commands/container/cp.ts'),
  },
  create: {
    short: 'Create a new container',
    load: () => import('../commands/container/create.ts'),
  },
  diff: {
    short: "Inspect changes to files or directories on a container's filesystem",
    load: () => import('../commands/container/diff.ts'),
  },
  exec: {
    short: 'Execute a command in a running container',
    load: () => import('../commands/container/exec.ts'),
  },
  export: {
    short: "Export a container's filesystem as a tar archive",
    load: () => import('../commands/container/export.ts'),
  },
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
  port: {
    short: 'List port mappings or a specific mapping for the container',
    load: () => import('../commands/container/port.ts'),
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
  run: {
    short: 'Create and run a new container from an image',
    load: () => import('../commands/container/run.ts'),
  },
  start: {
    short: 'Start one or more stopped containers',
    load: () => import('../commands/container/start.ts'),
  },
  stats: {
    short: 'Display a live stream of container(s) resource usage statistics',
    load: () => import('../commands/container/stats.ts'),
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
  update: {
    short: 'Update configuration of one or more containers',
    load: () => import('../commands/container/update.ts'),
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

/** The containers of the swarm's tasks, on whatever node they are. */
export const taskVerbs = {
  attach: {
    short: "Attach local standard input, output, and error streams to a task's container",
    load: () => import('../commands/task/attach.ts'),
  },
  cp: {
    short: 'Copy files/folders between a task and the local filesystem',
    load: () => import('../commands/task/cp.ts'),
  },
  exec: {
    short: 'Execute a command in a running task',
    load: () => import('../commands/task/exec.ts'),
  },
  inspect: {
    short: 'Display detailed information on one or more tasks',
    load: () => import('../commands/task/inspect.ts'),
  },
  logs: { short: 'Fetch the logs of a task', load: () => import('../commands/service/logs.ts') },
  ls: {
    short: 'List the tasks of all services',
    aliases: ['list', 'ps'],
    load: () => import('../commands/task/ls.ts'),
  },
  stats: {
    short: "Display a live stream of tasks' resource usage statistics",
    load: () => import('../commands/task/stats.ts'),
  },
  top: {
    short: 'Display the running processes of a task',
    load: () => import('../commands/task/top.ts'),
  },
} as const satisfies Record<string, Verb>;
