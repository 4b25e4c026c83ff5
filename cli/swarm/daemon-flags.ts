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
  text('log-file', 'Where a daemon started here logs, instead of to daemon.log'),
  text('hostname', "The node's name, for a daemon started here (default: the host's)"),
  text('bridge-subnet', "Subnet of the containers' gateway bridge of a daemon started here"),
  text('mtu', "MTU of containers' interfaces of a daemon started here", { word: 'bytes' }),
  text('metrics-addr', 'Where a daemon started here serves metrics, such as 127.0.0.1:9323'),
  text('metrics-token-file', 'Path of a file with the token that readers of metrics show'),
  text('tlscacert', 'Whose certificates a daemon started here accepts from its TLS clients'),
  text('tlscert', 'Certificate that a daemon started here shows over TLS'),
  text('tlskey', 'Its key'),
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

const metricsTls = bool('metrics-tls', 'Serve metrics over TLS, with --tlscert and --tlscacert');

const noDaemon = bool('no-daemon', 'Do not start a daemon where none answers');

export const daemonFlags: readonly Flag<unknown>[] = [...single, ...repeated, metricsTls, noDaemon];

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
  if (values.get(metricsTls) === true) argv.push('--metrics-tls');
  return { runRoot: values.get(runRoot), argv, start: values.get(noDaemon) !== true };
}
