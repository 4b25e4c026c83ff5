/** The flags of `ts-swarm daemon` that `init` and `join` also take, for a daemon they start. */
import { bool, list, oneOf, text, type Flag, type FlagValues } from '../command/flags.ts';
import { defaultRunRoot } from '../client/index.ts';

const runRoot = text(
  'run-root',
  'Where a daemon started here keeps its socket and what dies with it',
  {
    shownDefault: defaultRunRoot,
  },
);

const single = [
  text('data-root', 'Where a daemon started here keeps its state', {
    shownDefault: '/var/lib/ts-swarm',
  }),
  runRoot,
  text(
    'containerd',
    'Address of a containerd to use; a daemon started here runs its own otherwise',
  ),
  oneOf('log-level', 'What a daemon started here logs ("debug", "info", "warn", "error")', [
    'debug',
    'info',
    'warn',
    'error',
  ]),
  text('metrics-addr', 'Where a daemon started here serves metrics, such as 127.0.0.1:9323'),
  text('metrics-token-file', 'Path of a file with the token that readers of metrics show'),
  oneOf('oci-runtime', 'What runs the containers ("auto", "crun", "runc")', [
    'auto',
    'crun',
    'runc',
  ]),
] as const;

const repeated = [
  list('insecure-registry', 'A registry to speak plain HTTP with'),
  list('registry-mirror', 'A registry to ask before the one that an image names'),
  list('label', "A label of this host's engine"),
  list('node-generic-resource', 'What this host has for services that reserve it: KIND=VALUE'),
  list('manager-addr', 'Where a manager may be, should none be found where it was'),
] as const;

const noDaemon = bool('no-daemon', 'Do not start a daemon where none answers');

export const daemonFlags: readonly Flag<unknown>[] = [...single, ...repeated, noDaemon];

interface DaemonOptions {
  readonly runRoot: string | undefined;
  /** As `ts-swarm daemon` takes them. */
  readonly argv: readonly string[];
  readonly start: boolean;
}

export function daemonOptions(values: FlagValues): DaemonOptions {
  const argv: string[] = [];
  for (const flag of single) {
    const value = values.get<string>(flag);
    if (value !== undefined) argv.push(`--${flag.name}=${value}`);
  }
  for (const flag of repeated) {
    for (const value of values.get(flag) ?? []) argv.push(`--${flag.name}=${value}`);
  }
  return { runRoot: values.get(runRoot), argv, start: values.get(noDaemon) !== true };
}
