/** Every verb, where its file is, and its one line in --help. Files are loaded when used. */
import type { Command } from './command.ts';
import { planVerbs } from './plan-verbs.ts';
import { containerAliases, containerVerbs, taskVerbs } from './container-verbs.ts';
import { configVerbs, registryVerbs, secretVerbs } from './file-verbs.ts';
import { stackVerbs } from './stack-verbs.ts';

export interface Verb {
  readonly short: string;
  readonly aliases?: readonly string[];
  /** Left out of --help: a second name that Docker also knows. */
  readonly hidden?: boolean;
  load(): Promise<{ readonly command: Command }>;
}

export interface Group {
  readonly short: string;
  readonly verbs: Readonly<Record<string, Verb | Group>>;
}

const swarmVerbs = {
  init: { short: 'Initialize a swarm', load: () => import('../commands/swarm/init.ts') },
  join: {
    short: 'Join a swarm as a node and/or manager',
    load: () => import('../commands/swarm/join.ts'),
  },
  'join-token': {
    short: 'Manage join tokens',
    load: () => import('../commands/swarm/join-token.ts'),
  },
  leave: { short: 'Leave the swarm', load: () => import('../commands/swarm/leave.ts') },
  unlock: { short: 'Unlock swarm', load: () => import('../commands/swarm/unlock.ts') },
  'unlock-key': {
    short: 'Manage the unlock key',
    load: () => import('../commands/swarm/unlock-key.ts'),
  },
} as const satisfies Record<string, Verb>;

const systemVerbs = {
  df: { short: 'Show disk usage', load: () => import('../commands/system/df.ts') },
  events: {
    short: 'Get real time events from the server',
    load: () => import('../commands/system/events.ts'),
  },
  info: {
    short: 'Display system-wide information',
    load: () => import('../commands/system/info.ts'),
  },
  prune: { short: 'Remove unused data', load: () => import('../commands/system/prune.ts') },
} as const satisfies Record<string, Verb>;

const imageVerbs = {
  build: {
    short: 'Build an image from a Dockerfile',
    load: () => import('../commands/image/build.ts'),
  },
  history: {
    short: 'Show the history of an image',
    load: () => import('../commands/image/history.ts'),
  },
  import: {
    short: 'Import the contents from a tarball to create a filesystem image',
    load: () => import('../commands/image/import.ts'),
  },
  inspect: {
    short: 'Display detailed information on one or more images',
    load: () => import('../commands/image/inspect.ts'),
  },
  load: {
    short: 'Load an image from a tar archive or STDIN',
    load: () => import('../commands/image/load.ts'),
  },
  ls: { short: 'List images', aliases: ['list'], load: () => import('../commands/image/ls.ts') },
  prune: {
    short: 'Remove unused images',
    load: () => import('../commands/image/prune.ts'),
  },
  pull: {
    short: 'Download an image from a registry',
    load: () => import('../commands/image/pull.ts'),
  },
  push: {
    short: 'Upload an image to a registry',
    load: () => import('../commands/image/push.ts'),
  },
  rm: {
    short: 'Remove one or more images',
    aliases: ['remove'],
    load: () => import('../commands/image/rm.ts'),
  },
  save: {
    short: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
    load: () => import('../commands/image/save.ts'),
  },
  search: {
    short: 'Search Docker Hub or another registry for images',
    load: () => import('../commands/image/search.ts'),
  },
  tag: {
    short: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
    load: () => import('../commands/image/tag.ts'),
  },
} as const satisfies Record<string, Verb>;

const networkVerbs = {
  connect: {
    short: 'Connect a container to a network',
    load: () => import('../commands/network/connect.ts'),
  },
  create: { short: 'Create a network', load: () => import('../commands/network/create.ts') },
  disconnect: {
    short: 'Disconnect a container from a network',
    load: () => import('../commands/network/disconnect.ts'),
  },
  inspect: {
    short: 'Display detailed information on one or more networks',
    load: () => import('../commands/network/inspect.ts'),
  },
  ls: {
    short: 'List networks',
    aliases: ['list'],
    load: () => import('../commands/network/ls.ts'),
  },
  prune: {
    short: 'Remove all unused networks',
    load: () => import('../commands/network/prune.ts'),
  },
  rm: {
    short: 'Remove one or more networks',
    aliases: ['remove'],
    load: () => import('../commands/network/rm.ts'),
  },
  'rotate-key': {
    short: 'Replace the keys of encrypted networks on every node',
    load: () => import('../commands/network/rotate-key.ts'),
  },
} as const satisfies Record<string, Verb>;

const nodeVerbs = {
  demote: {
    short: 'Demote one or more nodes from manager in the swarm',
    load: () => import('../commands/node/demote.ts'),
  },
  inspect: {
    short: 'Display detailed information on one or more nodes',
    load: () => import('../commands/node/inspect.ts'),
  },
  lead: {
    short: 'Hand the lead over to a manager',
    load: () => import('../commands/node/lead.ts'),
  },
  ls: {
    short: 'List nodes in the swarm',
    aliases: ['list'],
    load: () => import('../commands/node/ls.ts'),
  },
  promote: {
    short: 'Promote one or more nodes to manager in the swarm',
    load: () => import('../commands/node/promote.ts'),
  },
  ps: {
    short: 'List tasks running on one or more nodes, defaults to current node',
    load: () => import('../commands/node/ps.ts'),
  },
  rm: {
    short: 'Remove one or more nodes from the swarm',
    aliases: ['remove'],
    load: () => import('../commands/node/rm.ts'),
  },
  update: { short: 'Update a node', load: () => import('../commands/node/update.ts') },
} as const satisfies Record<string, Verb>;

const serviceVerbs = {
  create: { short: 'Create a new service', load: () => import('../commands/service/create.ts') },
  inspect: {
    short: 'Display detailed information on one or more services',
    load: () => import('../commands/service/inspect.ts'),
  },
  logs: {
    short: 'Fetch the logs of a service or task',
    load: () => import('../commands/service/logs.ts'),
  },
  ls: {
    short: 'List services',
    aliases: ['list'],
    load: () => import('../commands/service/ls.ts'),
  },
  ps: {
    short: 'List the tasks of one or more services',
    load: () => import('../commands/service/ps.ts'),
  },
  rebalance: {
    short: 'Spread the tasks of services anew',
    load: () => import('../commands/service/rebalance.ts'),
  },
  restart: {
    short: 'Restart the tasks of services, by their update policies',
    load: () => import('../commands/service/restart.ts'),
  },
  rm: {
    short: 'Remove one or more services',
    aliases: ['remove'],
    load: () => import('../commands/service/rm.ts'),
  },
  rollback: {
    short: "Revert changes to a service's configuration",
    load: () => import('../commands/service/rollback.ts'),
  },
  run: {
    short: 'Begin a run of a job or a cron service now',
    load: () => import('../commands/service/run.ts'),
  },
  scale: {
    short: 'Scale one or multiple replicated services',
    load: () => import('../commands/service/scale.ts'),
  },
  update: { short: 'Update a service', load: () => import('../commands/service/update.ts') },
} as const satisfies Record<string, Verb>;

const volumeVerbs = {
  create: { short: 'Create a volume', load: () => import('../commands/volume/create.ts') },
  inspect: {
    short: 'Display detailed information on one or more volumes',
    load: () => import('../commands/volume/inspect.ts'),
  },
  ls: { short: 'List volumes', aliases: ['list'], load: () => import('../commands/volume/ls.ts') },
  prune: {
    short: 'Remove unused local volumes',
    load: () => import('../commands/volume/prune.ts'),
  },
  rm: {
    short: 'Remove one or more volumes',
    aliases: ['remove'],
    load: () => import('../commands/volume/rm.ts'),
  },
  update: {
    short: 'Update a volume (cluster volumes only)',
    load: () => import('../commands/volume/update.ts'),
  },
} as const satisfies Record<string, Verb>;

export const tree: Group = {
  short: 'Run services on a swarm of hosts, as Docker does in swarm mode',
  verbs: {
    ...swarmVerbs,
    node: { short: 'Manage Swarm nodes', verbs: nodeVerbs },
    service: { short: 'Manage Swarm services', verbs: serviceVerbs },
    registry: { short: 'Manage logins of the swarm at registries', verbs: registryVerbs },
    secret: { short: 'Manage Swarm secrets', verbs: secretVerbs },
    config: { short: 'Manage Swarm configs', verbs: configVerbs },
    stack: { short: 'Manage Swarm stacks', verbs: stackVerbs },
    network: { short: 'Manage networks', verbs: networkVerbs },
    image: { short: 'Manage images of this host', verbs: imageVerbs },
    volume: { short: 'Manage volumes of this host', verbs: volumeVerbs },
    builder: {
      short: 'Manage what builds leave for later ones',
      verbs: {
        prune: { short: 'Remove build cache', load: () => import('../commands/builder/prune.ts') },
      },
    },
    container: { short: 'Manage containers of this host', verbs: containerVerbs },
    task: { short: 'Manage tasks, on whatever node they run', verbs: taskVerbs },
    swarm: {
      short: 'Manage Swarm',
      verbs: {
        backup: {
          short: 'Write everything that the managers know to a file',
          load: () => import('../commands/swarm/backup.ts'),
        },
        ca: {
          short: 'Display and rotate the root CA',
          load: () => import('../commands/swarm/ca.ts'),
        },
        ...swarmVerbs,
        restore: {
          short: 'Make a swarm of a backup, or bring a backup into a swarm',
          load: () => import('../commands/swarm/restore.ts'),
        },
        update: { short: 'Update the swarm', load: () => import('../commands/swarm/update.ts') },
      },
    },
    system: { short: 'Manage the host', verbs: systemVerbs },
    daemon: {
      short: 'Run the daemon of this host in front',
      load: () => import('../commands/system/daemon.ts'),
    },
    doctor: {
      short: 'Say what is wrong with this host and its networks',
      load: () => import('../commands/system/doctor.ts'),
    },
    events: systemVerbs.events,
    explain: {
      short: 'Say why a task or a service is as it is',
      load: () => import('../commands/system/explain.ts'),
    },
    history: {
      short: 'Say what changed, and how things stood at a moment',
      load: () => import('../commands/system/history.ts'),
    },
    info: systemVerbs.info,
    plan: {
      short: 'Say what a command would do, without doing it',
      verbs: { service: { short: 'Say what would become of services', verbs: planVerbs } },
    },
    uninstall: {
      short: 'Leave nothing of ts-swarm behind on this host',
      load: () => import('../commands/system/uninstall.ts'),
    },
    inspect: {
      short: 'Return low-level information on objects of any kind',
      load: () => import('../commands/system/inspect.ts'),
    },
    login: {
      short: 'Authenticate to a registry',
      load: () => import('../commands/system/login.ts'),
    },
    logout: {
      short: 'Log out from a registry',
      load: () => import('../commands/system/logout.ts'),
    },
    version: {
      short: 'Show the version information',
      load: () => import('../commands/system/version.ts'),
    },
    ...containerAliases,
    build: { ...imageVerbs.build, hidden: true },
    images: { ...imageVerbs.ls, hidden: true },
    import: { ...imageVerbs.import, hidden: true },
    load: { ...imageVerbs.load, hidden: true },
    pull: { ...imageVerbs.pull, hidden: true },
    push: { ...imageVerbs.push, hidden: true },
    rmi: { ...imageVerbs.rm, hidden: true },
    save: { ...imageVerbs.save, hidden: true },
    search: { ...imageVerbs.search, hidden: true },
    tag: { ...imageVerbs.tag, hidden: true },
  },
};
