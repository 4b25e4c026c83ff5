/** The flags of a service's containers. */
import type { ContainerSpec, Mount } from '../../types/index.ts';
import { commandError } from '../command/errors.ts';
import { bool, durationMs, integer, list, text } from '../command/flags.ts';
import { parseAddress, parseShellWords, splitPair } from '../format/parse.ts';
import { container, type SpecDraft } from './draft.ts';
import { envEntry, envName, readEnvFile } from './env.ts';
import { parseMount } from './mounts.ts';
import { parseReference } from './references.ts';
import { collection, pairs, scalar, words, type SpecFlag } from './spec-flag.ts';

type Env = Readonly<Record<string, string | undefined>>;

const withUnits = '(ns|us|ms|s|m|h)';

function environment(env: Env): SpecFlag[] {
  const files = list('env-file', 'Read in a file of environment variables');
  return [
    {
      flags: (verb) => (verb === 'create' ? [files] : []),
      apply(spec, values) {
        const entries = (values.get(files) ?? []).flatMap((path) => {
          try {
            return readEnvFile(path, env);
          } catch (error) {
            throw commandError((error as Error).message);
          }
        });
        if (entries.length > 0) container(spec).env = entries;
      },
    },
    collection<string>({
      name: 'env',
      short: 'e',
      help: 'Set environment variables',
      addHelp: 'Add or update an environment variable',
      rmHelp: 'Remove an environment variable',
      parse: (entry) => envEntry(entry, env),
      key: envName,
      read: (spec) => container(spec).env ?? [],
      write: (spec, entries) => (container(spec).env = entries),
    }),
  ];
}

const process: readonly SpecFlag[] = [
  scalar(
    text('entrypoint', 'Overwrite the default ENTRYPOINT of the image', { word: 'command' }),
    (spec, value) => (container(spec).command = parseShellWords(value)),
  ),
  scalar(
    text('args', 'Service command args', { word: 'command' }),
    (spec, value) => (container(spec).args = parseShellWords(value)),
    { only: 'update' },
  ),
  scalar(text('image', 'Service image tag'), (spec, value) => (container(spec).image = value), {
    only: 'update',
  }),
  scalar(
    text('user', 'Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
    (spec, value) => (container(spec).user = value),
  ),
  scalar(
    text('workdir', 'Working directory inside the container', { short: 'w' }),
    (spec, value) => (container(spec).dir = value),
  ),
  scalar(
    text('hostname', 'Container hostname'),
    (spec, value) => (container(spec).hostname = value),
  ),
  scalar(
    bool('init', 'Use an init inside each service container to forward signals and reap processes'),
    (spec, value) => (container(spec).init = value),
  ),
  scalar(
    bool('tty', 'Allocate a pseudo-TTY', { short: 't' }),
    (spec, value) => (container(spec).tty = value),
  ),
  scalar(
    bool('read-only', "Mount the container's root filesystem as read only"),
    (spec, value) => (container(spec).readOnly = value),
  ),
  scalar(
    text('stop-signal', 'Signal to stop the container'),
    (spec, value) => (container(spec).stopSignal = value),
  ),
  scalar(
    durationMs('stop-grace-period', `Time to wait before force killing a container ${withUnits}`, {
      shownDefault: '10s',
    }),
    (spec, value) => (container(spec).stopGracePeriodMs = value),
  ),
  scalar(
    integer('oom-score-adj', "Tune host's OOM preferences (-1000 to 1000)"),
    (spec, value) => (container(spec).oomScoreAdj = value),
  ),
  scalar(
    text('isolation', 'Service container isolation mode'),
    (spec, value) => (container(spec).isolation = value),
  ),
  words({
    name: 'group',
    help: 'Set one or more supplementary user groups for the container',
    addHelp: 'Add an additional supplementary user group to the container',
    rmHelp: 'Remove a previously added supplementary user group from the container',
    read: (spec) => container(spec).groups,
    write: (spec, entries) => (container(spec).groups = entries),
  }),
];

const labels: readonly SpecFlag[] = [
  pairs({
    name: 'label',
    short: 'l',
    help: 'Service labels',
    addHelp: 'Add or update a service label',
    rmHelp: 'Remove a label by its key',
    read: (spec) => spec.labels,
    write: (spec, entries) => (spec.labels = entries),
  }),
  pairs({
    name: 'container-label',
    help: 'Container labels',
    addHelp: 'Add or update a container label',
    rmHelp: 'Remove a container label by its key',
    read: (spec) => container(spec).labels,
    write: (spec, entries) => (container(spec).labels = entries),
  }),
];

const capability = (name: string) => {
  const upper = name.trim().toUpperCase();
  return upper === 'ALL' || upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
};

/** Docker has no --cap-add-rm: in `update`, --cap-drop takes back an earlier --cap-add, and so on. */
const capAdd = list('cap-add', 'Add Linux capabilities');
const capDrop = list('cap-drop', 'Drop Linux capabilities');
const capabilities: SpecFlag = {
  flags: () => [capAdd, capDrop],
  apply(spec, values, verb) {
    const added = new Set(values.get(capAdd)?.map(capability));
    const dropped = new Set(values.get(capDrop)?.map(capability));
    if (added.size === 0 && dropped.size === 0) return;
    const target = container(spec);
    const adds = new Set(target.capabilityAdd);
    const drops = new Set(target.capabilityDrop);
    for (const name of added) {
      // Adding back what the spec drops undoes the drop, and the other way round.
      if (verb === 'update' && drops.delete(name)) continue;
      adds.add(name);
    }
    for (const name of dropped) {
      if (added.has(name)) adds.delete(name);
      else if (verb === 'update' && adds.delete(name)) continue;
      drops.add(name);
    }
    target.capabilityAdd = [...adds].sort();
    target.capabilityDrop = [...drops].sort();
  },
};

export function ulimit(textOf: string) {
  const [name, value = ''] = splitPair(textOf);
  const match = /^(-?\d+)(?::(-?\d+))?$/.exec(value);
  if (match === null || name === '') throw new Error(`invalid ulimit argument: ${textOf}`);
  const soft = Number(match[1]);
  const hard = match[2] === undefined ? soft : Number(match[2]);
  if (hard !== -1 && soft > hard) {
    throw new Error(
      `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
    );
  }
  return { name, soft, hard };
}

const kernel: readonly SpecFlag[] = [
  capabilities,
  pairs({
    name: 'sysctl',
    help: 'Sysctl options',
    addHelp: 'Add or update a Sysctl option',
    rmHelp: 'Remove a Sysctl option',
    read: (spec) => container(spec).sysctls,
    write: (spec, entries) => (container(spec).sysctls = entries),
  }),
  collection({
    name: 'ulimit',
    word: 'ulimit',
    help: 'Ulimit options',
    addHelp: 'Add or update a ulimit option',
    rmHelp: 'Remove a ulimit option',
    parse: ulimit,
    key: ({ name }) => name,
    read: (spec) => container(spec).ulimits ?? [],
    write: (spec, entries) => (container(spec).ulimits = entries),
  }),
];

type SecretReference = NonNullable<ContainerSpec['secrets']>[number];
type ConfigReference = NonNullable<ContainerSpec['configs']>[number];

const files: readonly SpecFlag[] = [
  collection<Mount>({
    name: 'mount',
    word: 'mount',
    help: 'Attach a filesystem mount to the service',
    addHelp: 'Add or update a mount on a service',
    rmHelp: 'Remove a mount by its target path',
    parse: parseMount,
    key: ({ target }) => target,
    read: (spec) => container(spec).mounts ?? [],
    write: (spec, entries) => (container(spec).mounts = entries as never),
  }),
  collection<SecretReference>({
    name: 'secret',
    word: 'secret',
    help: 'Specify secrets to expose to the service',
    addHelp: 'Add or update a secret on a service',
    rmHelp: 'Remove a secret',
    parse(value) {
      const { source, file } = parseReference(value);
      return { secretId: '', secretName: source, file };
    },
    key: ({ secretName, file }) => `${secretName} ${file?.name ?? ''}`,
    matches: ({ secretName }, rm) => secretName === rm,
    read: (spec) => container(spec).secrets ?? [],
    write: (spec, entries) => (container(spec).secrets = entries as never),
  }),
  collection<ConfigReference>({
    name: 'config',
    word: 'config',
    help: 'Specify configurations to expose to the service',
    addHelp: 'Add or update a config file on a service',
    rmHelp: 'Remove a configuration file',
    parse(value) {
      const { source, file } = parseReference(value);
      const target = file.name === source ? `/${source}` : file.name;
      return { configId: '', configName: source, file: { ...file, name: target } };
    },
    key: ({ configName, file }) => `${configName} ${file?.name ?? ''}`,
    matches: ({ configName }, rm) => configName === rm,
    read: (spec) => container(spec).configs ?? [],
    write: (spec, entries) => (container(spec).configs = entries as never),
  }),
];

const noHealthcheck = bool('no-healthcheck', 'Disable any container-specified HEALTHCHECK');
const healthFlags = {
  cmd: text('health-cmd', 'Command to run to check health'),
  interval: durationMs('health-interval', 'Time between running the check (ms|s|m|h)'),
  retries: integer('health-retries', 'Consecutive failures needed to report unhealthy'),
  timeout: durationMs('health-timeout', 'Maximum time to allow one check to run (ms|s|m|h)'),
  start: durationMs(
    'health-start-period',
    'Start period for the container to initialize before counting retries towards unstable (ms|s|m|h)',
  ),
  startInterval: durationMs(
    'health-start-interval',
    'Time between running the check during the start period (ms|s|m|h)',
  ),
};

const health: SpecFlag = {
  flags: () => [noHealthcheck, ...Object.values(healthFlags)],
  apply(spec, values) {
    const given = Object.values(healthFlags).some((flag) => values.has(flag));
    if (values.get(noHealthcheck) === true) {
      if (given) throw commandError('--no-healthcheck conflicts with --health-* options');
      container(spec).healthCheck = { test: ['NONE'] };
      return;
    }
    if (!given) return;
    const before = container(spec).healthCheck ?? {};
    if (before.test?.[0] === 'NONE') delete before.test;
    const command = values.get(healthFlags.cmd);
    const test = command === undefined ? undefined : command === '' ? [] : ['CMD-SHELL', command];
    container(spec).healthCheck = {
      ...before,
      ...defined({
        test,
        intervalMs: values.get(healthFlags.interval),
        retries: values.get(healthFlags.retries),
        timeoutMs: values.get(healthFlags.timeout),
        startPeriodMs: values.get(healthFlags.start),
        startIntervalMs: values.get(healthFlags.startInterval),
      }),
    };
  },
};

/** Without the keys whose value is undefined. */
function defined<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** `host:ip` as Docker writes it, kept as a line of /etc/hosts: `ip host`. */
function hostLine(value: string): string {
  const [name, address = ''] = splitPair(value, value.includes('=') ? '=' : ':');
  if (name === '' || address === '') throw new Error(`bad format for add-host: "${value}"`);
  return `${address.replace(/^\[|\]$/g, '')} ${name}`;
}

const dns = (spec: SpecDraft) => (container(spec).dnsConfig ??= {});

const names: readonly SpecFlag[] = [
  collection<string>({
    name: 'host',
    help: 'Set one or more custom host-to-IP mappings (host:ip)',
    addHelp: 'Add a custom host-to-IP mapping ("host:ip")',
    rmHelp: 'Remove a custom host-to-IP mapping ("host:ip")',
    parse: hostLine,
    key: (line) => line,
    matches: (line, rm) => {
      const [address, ...aliases] = line.split(/\s+/);
      const [name, at] = splitPair(rm, ':');
      return aliases.includes(name) && (at === undefined || at === address);
    },
    read: (spec) => container(spec).hosts ?? [],
    write: (spec, entries) => (container(spec).hosts = entries),
  }),
  words({
    name: 'dns',
    help: 'Set custom DNS servers',
    addHelp: 'Add or update a custom DNS server',
    rmHelp: 'Remove a custom DNS server',
    check: parseAddress,
    read: (spec) => dns(spec).nameservers,
    write: (spec, entries) => (dns(spec).nameservers = entries),
  }),
  words({
    name: 'dns-search',
    help: 'Set custom DNS search domains',
    addHelp: 'Add or update a custom DNS search domain',
    rmHelp: 'Remove a DNS search domain',
    read: (spec) => dns(spec).search,
    write: (spec, entries) => (dns(spec).search = entries),
  }),
  words({
    name: 'dns-option',
    help: 'Set DNS options',
    addHelp: 'Add or update a DNS option',
    rmHelp: 'Remove a DNS option',
    read: (spec) => dns(spec).options,
    write: (spec, entries) => (dns(spec).options = entries),
  }),
];

/** `env`: what bare names in --env take their values from. */
export function containerFlags(env: Env): readonly SpecFlag[] {
  return [...environment(env), ...process, ...labels, ...kernel, ...files, health, ...names];
}
