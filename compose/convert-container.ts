/** What a service's container is: everything of the ContainerSpec but mounts, secrets, configs. */
import {
  devicesLabel,
  deviceText,
  parseDevice,
  privilegedLabel,
  type ContainerSpec,
  type HealthCheck,
  type TaskSpec,
} from '../types/index.ts';
import { present } from './convert-deploy.ts';
import { parseDotenv } from './dotenv.ts';
import type { Lookup } from './interpolate.ts';
import type { Sources } from './load.ts';
import type { Field, Reader } from './read.ts';

interface ContainerContext {
  readonly read: Reader;
  readonly sources: Sources;
  readonly lookup: Lookup;
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Fills in nothing that the file does not say. Labels are the file's own. */
export function convertContainer(context: ContainerContext, service: Field): Draft<ContainerSpec> {
  const { read } = context;
  const at = (key: string) => read.at(service, key);
  refuseSharing(read, service);
  const env = convertEnvironment(context, service);
  const hosts = convertHosts(read, at('extra_hosts'));
  return {
    image: read.text(at('image')) ?? '',
    labels: convertLabels(context, service),
    ...present({
      command: read.words(at('entrypoint')),
      args: read.words(at('command')),
      hostname: read.text(at('hostname')),
      env: env.length > 0 ? env : undefined,
      dir: read.text(at('working_dir')),
      user: read.text(at('user')),
      groups: someOf(read.texts(at('group_add'))),
      privileges: convertPrivileges(read, at('security_opt')),
      init: read.boolean(at('init')),
      stopSignal: read.text(at('stop_signal')),
      tty: trueOf(read.boolean(at('tty'))),
      openStdin: trueOf(read.boolean(at('stdin_open'))),
      readOnly: trueOf(read.boolean(at('read_only'))),
      stopGracePeriodMs: read.durationMs(at('stop_grace_period')),
      healthCheck: convertHealthCheck(read, at('healthcheck')),
      hosts: someOf(hosts),
      dnsConfig: convertDns(read, service),
      isolation: isolation(read, at('isolation')),
      sysctls: at('sysctls').node === undefined ? undefined : read.record(at('sysctls')),
      capabilityAdd: someOf(capabilities(read, at('cap_add'))),
      capabilityDrop: someOf(capabilities(read, at('cap_drop'))),
      ulimits: convertUlimits(read, at('ulimits')),
      oomScoreAdj: read.integer(at('oom_score_adj'), -1000),
    }),
  };
}

/** `net_admin` and `CAP_NET_ADMIN` are one, in the form in which Docker's CLI sends it. */
function capabilities(read: Reader, field: Field): readonly string[] {
  const names = read.texts(field).map((text) => {
    const name = text.toUpperCase();
    return name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`;
  });
  return [...new Set(names)].toSorted();
}

/** What a container may share with others elsewhere. */
function refuseSharing(read: Reader, service: Field): void {
  const allowed = { cgroup: ['private'], ipc: ['private', 'shareable'], pid: ['private'] };
  for (const [key, words] of Object.entries(allowed)) {
    const field = read.at(service, key);
    const text = read.text(field);
    if (text === undefined || text === '' || words.includes(text)) continue;
    read.problems.add(
      field.node!.at,
      `${field.name}: "${text}" is not supported: tasks share nothing of a host or of each other`,
    );
  }
}

/** Files first, then what the service says itself. Sorted, as Docker's CLI sends it. */
function convertEnvironment(context: ContainerContext, service: Field): string[] {
  const { read, lookup } = context;
  const values = new Map<string, string>();
  for (const item of read.items(read.at(service, 'env_file'))) {
    if (!read.keys(item, 'services.*.env_file')) continue;
    for (const [name, value] of envFile(context, item)) values.set(name, value);
  }
  for (const [name, given] of Object.entries(read.pairs(read.at(service, 'environment')))) {
    const value = given ?? lookup(name);
    if (value !== undefined) values.set(name, value);
    else values.delete(name);
  }
  return [...values].map(([name, value]) => `${name}=${value}`).sort();
}

function envFile({ read, sources, lookup }: ContainerContext, item: Field): Map<string, string> {
  const path = read.text(read.at(item, 'path'));
  const format = read.oneOf(read.at(item, 'format'), ['raw']);
  const isRequired = read.boolean(read.at(item, 'required')) ?? true;
  if (path === undefined) return new Map();
  const bytes = sources.readFile(path);
  const shown = sources.shownPath(path);
  if (bytes === undefined) {
    if (isRequired) read.problems.add(item.node!.at, `${item.name}: there is no file ${shown}`);
    return new Map();
  }
  const options = { lookup, format: format ?? 'compose' } as const;
  return parseDotenv(new TextDecoder().decode(bytes), shown, options, read.problems);
}

function convertLabels(context: ContainerContext, service: Field): Record<string, string> {
  const { read, sources, lookup } = context;
  const labels: Record<string, string> = {};
  for (const item of read.items(read.at(service, 'label_file'))) {
    const path = read.text(item) ?? '';
    const bytes = sources.readFile(path);
    const shown = sources.shownPath(path);
    if (bytes === undefined) {
      read.problems.add(item.node!.at, `${item.name}: there is no file ${shown}`);
      continue;
    }
    const text = new TextDecoder().decode(bytes);
    Object.assign(labels, Object.fromEntries(parseDotenv(text, shown, { lookup }, read.problems)));
  }
  return { ...labels, ...read.record(read.at(service, 'labels')), ...privileges(read, service) };
}

/** What Docker's spec has no field for. */
function privileges(read: Reader, service: Field): Record<string, string> {
  const devices = read.items(read.at(service, 'devices')).flatMap((item) => {
    const text = item.node?.kind === 'mapping' ? longDevice(read, item) : (read.text(item) ?? '');
    const device = parseDevice(text);
    if (device !== undefined) return [deviceText(device)];
    read.problems.add(
      item.node!.at,
      /^[^/=]+\/[^/=]+=./.test(text)
        ? `${item.name}: "${text}" is a vendor's device; ask for a number of them with ` +
            'deploy.resources.reservations.generic_resources'
        : `${item.name}: "${text}" is not of the form /dev/NAME[:/dev/OTHER][:rwm]`,
    );
    return [];
  });
  return {
    ...(read.boolean(read.at(service, 'privileged')) ? { [privilegedLabel]: 'true' } : {}),
    ...(devices.length > 0 ? { [devicesLabel]: devices.join(',') } : {}),
  };
}

function longDevice(read: Reader, item: Field): string {
  read.keys(item, 'services.*.devices');
  const parts = ['source', 'target', 'permissions'].map((key) => read.text(read.at(item, key)));
  return parts.filter((part) => part !== undefined).join(':');
}

/** Docker's form, "address name", of Compose's "name=address". */
function convertHosts(read: Reader, field: Field): string[] {
  return read.items(field).flatMap((item) => {
    const [name = '', address = ''] = (read.text(item) ?? '').split(/=([^]*)/, 2);
    if (name === '' || address === '') {
      read.problems.add(item.node!.at, `${item.name}: write NAME=ADDRESS`);
      return [];
    }
    return [`${address.replace(/^\[|\]$/g, '')} ${name}`];
  });
}

function convertDns(read: Reader, service: Field): ContainerSpec['dnsConfig'] {
  const config = present({
    nameservers: someOf(read.texts(read.at(service, 'dns'))),
    search: someOf(read.texts(read.at(service, 'dns_search'))),
    options: someOf(read.texts(read.at(service, 'dns_opt'))),
  });
  return Object.keys(config).length === 0 ? undefined : config;
}

function convertHealthCheck(read: Reader, field: Field): HealthCheck | undefined {
  if (field.node === undefined || !read.keys(field, 'services.*.healthcheck')) return undefined;
  const test = read.at(field, 'test');
  if (read.boolean(read.at(field, 'disable')) === true) return { test: ['NONE'] };
  const words =
    test.node === undefined
      ? undefined
      : test.node.kind === 'sequence'
        ? read.texts(test)
        : ['CMD-SHELL', read.text(test) ?? ''];
  const kind = words?.[0];
  if (kind !== undefined && !['NONE', 'CMD', 'CMD-SHELL'].includes(kind)) {
    read.problems.add(test.node!.at, `${test.name} must begin with NONE, CMD or CMD-SHELL`);
  }
  return present({
    test: words,
    intervalMs: read.durationMs(read.at(field, 'interval')),
    timeoutMs: read.durationMs(read.at(field, 'timeout')),
    startPeriodMs: read.durationMs(read.at(field, 'start_period')),
    startIntervalMs: read.durationMs(read.at(field, 'start_interval')),
    retries: read.integer(read.at(field, 'retries')),
  });
}

function convertPrivileges(read: Reader, field: Field): ContainerSpec['privileges'] {
  const privileges: Draft<NonNullable<ContainerSpec['privileges']>> = {};
  for (const item of read.items(field)) {
    const word = (read.text(item) ?? '').replace(/^([a-z-]+)[:=]/, '$1=');
    if (word === 'no-new-privileges' || word === 'no-new-privileges=true') {
      privileges.noNewPrivileges = true;
    } else if (word === 'seccomp=unconfined') privileges.seccomp = { mode: 'unconfined' };
    else if (word === 'apparmor=unconfined') privileges.appArmor = { mode: 'disabled' };
    else if (word !== 'no-new-privileges=false') {
      read.problems.add(
        item.node!.at,
        `${item.name}: "${word}" is not supported; use no-new-privileges, seccomp=unconfined or ` +
          'apparmor=unconfined',
      );
    }
  }
  return Object.keys(privileges).length === 0 ? undefined : privileges;
}

function isolation(read: Reader, field: Field): string | undefined {
  const text = read.text(field);
  if (text !== undefined && text !== 'default') {
    read.problems.add(
      field.node!.at,
      `${field.name}: "${text}" is for Windows containers; this swarm runs Linux ones`,
    );
  }
  return undefined;
}

export function convertUlimits(read: Reader, field: Field): ContainerSpec['ulimits'] {
  if (field.node === undefined) return undefined;
  const limits = read.entries(field).flatMap(([name, value]) => {
    if (value.node?.kind !== 'mapping') {
      const both = read.integer(value, -1);
      return both === undefined ? [] : [{ name, soft: both, hard: both }];
    }
    read.keys(value, 'services.*.ulimits.*');
    const soft = read.integer(read.at(value, 'soft'), -1);
    const hard = read.integer(read.at(value, 'hard'), -1);
    if (soft !== undefined && hard !== undefined) return [{ name, soft, hard }];
    read.problems.add(value.node.at, `${value.name} needs both soft and hard`);
    return [];
  });
  return limits.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export function convertLogging(read: Reader, service: Field): TaskSpec['logDriver'] {
  const field = read.at(service, 'logging');
  if (field.node === undefined || !read.keys(field, 'services.*.logging')) return undefined;
  const options = read.record(read.at(field, 'options'));
  return present({
    name: read.text(read.at(field, 'driver')),
    options: Object.keys(options).length > 0 ? options : undefined,
  });
}

function someOf<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length > 0 ? items : undefined;
}

function trueOf(value: boolean | undefined): true | undefined {
  return value === true ? true : undefined;
}
