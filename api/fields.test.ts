/**
 * No field of a request is taken in silence: each that Docker's API 1.50 has, or that we read, is
 * used, refused in a sentence, warned of, or listed below with the reason that it says nothing to a
 * daemon on Linux.
 */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  connectDocument,
  containerDocument,
  createExtras,
  endpointSettings,
  execDocument,
  fileSpec,
  hostDocument,
  nodeSpec,
  networkSpec,
  serviceSpec,
  swarmSpec,
  updateDocument,
  type Codec,
} from '../types/index.ts';
import { refuseUnsupportedService } from '../manager/control/unsupported.ts';
import { checkContainer } from '../worker/container/checks.ts';
import { mountsOf } from '../worker/container/mounts.ts';
import { healthCheckOf } from '../worker/container/runtime-config.ts';
import { runtimeWarnings, warningsOf } from '../worker/container/warnings.ts';
import { volumeCreateRequest } from './routes/volumes.ts';

const documents: Readonly<Record<string, Codec<never>>> = {
  ContainerConfig: containerDocument,
  HostConfig: hostDocument,
  EndpointSettings: endpointSettings,
  NetworkingConfig: createExtras,
  NetworkConnect: connectDocument,
  ContainerUpdate: updateDocument,
  Exec: execDocument,
  NetworkCreate: networkSpec,
  VolumeCreate: volumeCreateRequest,
  ServiceSpec: serviceSpec,
  SwarmSpec: swarmSpec,
  NodeSpec: nodeSpec,
  SecretSpec: fileSpec,
} as Readonly<Record<string, unknown>> as Readonly<Record<string, Codec<never>>>;

/** Of Docker's API 1.50, as its reference names them. */
const dockersFields: Readonly<Record<string, string>> = {
  ContainerConfig:
    'Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin ' +
    'StdinOnce Env Cmd Healthcheck ArgsEscaped Image Volumes WorkingDir Entrypoint ' +
    'NetworkDisabled MacAddress OnBuild Labels StopSignal StopTimeout Shell',
  'ContainerConfig.Healthcheck': 'Test Interval Timeout Retries StartPeriod StartInterval',
  HostConfig:
    'CpuShares Memory CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps ' +
    'BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota ' +
    'CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules ' +
    'DeviceRequests KernelMemoryTCP MemoryReservation MemorySwap MemorySwappiness NanoCpus ' +
    'OomKillDisable Init PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth ' +
    'Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove ' +
    'VolumeDriver VolumesFrom Mounts ConsoleSize Annotations CapAdd CapDrop CgroupnsMode Dns ' +
    'DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode ' +
    'Privileged PublishAllPorts ReadonlyRootfs SecurityOpt StorageOpt Tmpfs UTSMode UsernsMode ' +
    'ShmSize Sysctls Runtime Isolation MaskedPaths ReadonlyPaths',
  'HostConfig.DeviceRequests': 'Driver Count DeviceIDs Capabilities Options',
  'HostConfig.Mounts':
    'Target Source Type ReadOnly Consistency BindOptions VolumeOptions ImageOptions TmpfsOptions',
  'HostConfig.Mounts.BindOptions':
    'Propagation NonRecursive CreateMountpoint ReadOnlyNonRecursive ReadOnlyForceRecursive',
  'HostConfig.Mounts.VolumeOptions': 'NoCopy Labels DriverConfig Subpath',
  'HostConfig.Mounts.ImageOptions': 'Subpath',
  'HostConfig.Mounts.TmpfsOptions': 'SizeBytes Mode Options',
  EndpointSettings:
    'IPAMConfig Links MacAddress Aliases DriverOpts GwPriority NetworkID EndpointID Gateway ' +
    'IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen DNSNames',
  'EndpointSettings.IPAMConfig': 'IPv4Address IPv6Address LinkLocalIPs',
  Exec:
    'AttachStdin AttachStdout AttachStderr ConsoleSize DetachKeys Tty Env Cmd Privileged User ' +
    'WorkingDir',
  NetworkCreate:
    'Name Driver Scope Internal Attachable Ingress ConfigOnly ConfigFrom IPAM EnableIPv4 ' +
    'EnableIPv6 Options Labels',
  'NetworkCreate.IPAM': 'Driver Config Options',
  'NetworkCreate.IPAM.Config': 'Subnet IPRange Gateway AuxiliaryAddresses',
  VolumeCreate: 'Name Driver DriverOpts Labels ClusterVolumeSpec',
  ServiceSpec: 'Name Labels TaskTemplate Mode UpdateConfig RollbackConfig Networks EndpointSpec',
  'ServiceSpec.TaskTemplate':
    'PluginSpec ContainerSpec NetworkAttachmentSpec Resources RestartPolicy Placement ' +
    'ForceUpdate Runtime Networks LogDriver',
  'ServiceSpec.TaskTemplate.ContainerSpec':
    'Image Labels Command Args Hostname Env Dir User Groups Privileges TTY OpenStdin ReadOnly ' +
    'Mounts StopSignal StopGracePeriod Healthcheck Hosts DNSConfig Secrets OomScoreAdj Configs ' +
    'Isolation Init Sysctls CapabilityAdd CapabilityDrop Ulimits',
  'ServiceSpec.TaskTemplate.Resources': 'Limits Reservations',
  'ServiceSpec.TaskTemplate.RestartPolicy': 'Condition Delay MaxAttempts Window',
  'ServiceSpec.TaskTemplate.Placement': 'Constraints Preferences MaxReplicas Platforms',
  'ServiceSpec.EndpointSpec': 'Mode Ports',
  'ServiceSpec.EndpointSpec.Ports': 'Name Protocol TargetPort PublishedPort PublishMode',
  'ServiceSpec.UpdateConfig': 'Parallelism Delay FailureAction Monitor MaxFailureRatio Order',
  SwarmSpec: 'Name Labels Orchestration Raft Dispatcher CAConfig EncryptionConfig TaskDefaults',
  NodeSpec: 'Name Labels Role Availability',
  SecretSpec: 'Name Labels Data Driver Templating',
};

const dockersBuildQuery =
  'dockerfile t extrahosts remote q nocache cachefrom pull rm forcerm memory memswap cpushares ' +
  'cpusetcpus cpusetmems cpuperiod cpuquota buildargs shmsize squash labels networkmode platform ' +
  'target outputs version ulimits cgroupparent isolation securityopt session';

/** What changes nothing, and need not be said. */
const quiet: Readonly<Record<string, string>> = {
  'ContainerConfig.AttachStdin': 'for the client, who attaches itself; told back',
  'ContainerConfig.OnBuild': 'for who builds on an image; kept by commit, and told back',
  'HostConfig.ContainerIDFile': 'a file of the client’s',
  'HostConfig.Mounts.Consistency': 'for desktops whose files are on another machine',
  'HostConfig.Mounts.BindOptions.ReadOnlyNonRecursive':
    'what read-only mounts are here anyway, unless they are to be ReadOnlyForceRecursive',
  'ContainerSpec.Secrets.SecretName': 'for people: the id decides',
  'ContainerSpec.Configs.ConfigName': 'for people: the id decides',
};
/** Of a network's end, what the daemon tells and nobody can ask for. */
const toldOnly: ReadonlySet<string> = new Set(
  (
    'NetworkID EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address ' +
    'GlobalIPv6PrefixLen DNSNames'
  ).split(' '),
);

interface Field {
  readonly path: string;
  /** As TypeScript has it. */
  readonly name: string;
}

/** Every field that is read, with those inside it. */
function* readBy(codec: Codec<unknown>, path: string): Generator<Field> {
  if (codec.item !== undefined) yield* readBy(codec.item, path);
  for (const { name, json, codec: inner } of codec.fields ?? []) {
    const own = `${path}.${json}`;
    yield { path: own, name };
    yield* readBy(inner, own);
  }
}

const root = resolve(import.meta.dirname, '..');
const users = ['worker', 'manager', 'api/routes', 'daemon'];

/** Words of the sources that act on what was read; converters only tell it again. */
function wordsUsed(): ReadonlySet<string> {
  const words = new Set<string>();
  for (const folder of users) {
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || /\.test\.ts$|testing/.test(file)) continue;
      const text = readFileSync(join(root, folder, file), 'utf8');
      for (const [word] of text.matchAll(/[A-Za-z_]\w*/g)) words.add(word);
    }
  }
  return words;
}

const host = (json: object) => hostDocument.decode(json, '');
const config = (json: object) => containerDocument.decode(json, '');
const refusedHost = (json: object) => () =>
  checkContainer(config({ Image: 'x' }), host(json), {
    cpus: 2,
    cpuLists: { cpus: '0-1', mems: '0' },
  });
const refusedMount = (json: object) => () =>
  mountsOf(config({}), host({ Mounts: [{ Target: '/x', ...json }] }));
const refusedService = (template: object) => () =>
  refuseUnsupportedService(serviceSpec.decode({ Name: 'x', TaskTemplate: template }, ''));

/** What cannot be honoured, and is refused. */
const refusals: readonly (readonly [path: string, work: () => unknown, says: RegExp])[] = [
  ['HostConfig.Cgroup', refusedHost({ Cgroup: 'container:x' }), /cgroup of another container/],
  ['HostConfig.KernelMemory', refusedHost({ KernelMemory: 1 }), /no limit of kernel memory/],
  ['HostConfig.KernelMemoryTCP', refusedHost({ KernelMemoryTCP: 1 }), /no limit of kernel memory/],
  [
    'HostConfig.DeviceRequests.Options',
    refusedHost({ DeviceRequests: [{ Capabilities: [['gpu']], Options: { a: 'b' } }] }),
    /options of a device request/,
  ],
  ['HostConfig.StorageOpt', refusedHost({ StorageOpt: { size: '1' } }), /storage-opt/],
  ['HostConfig.Runtime', refusedHost({ Runtime: 'other' }), /unknown or invalid runtime/],
  ['HostConfig.Isolation', refusedHost({ Isolation: 'hyperv' }), /invalid isolation/],
  ['HostConfig.UsernsMode', refusedHost({ UsernsMode: 'x' }), /user namespace/],
  ...['CpuRealtimePeriod', 'CpuRealtimeRuntime'].map(
    (key) => [`HostConfig.${key}`, refusedHost({ [key]: 1 }), /real-time scheduling/] as const,
  ),
  [
    'ServiceSpec.TaskTemplate.PluginSpec',
    refusedService({ PluginSpec: { Name: 'p' }, Runtime: 'plugin' }),
    /plugins are not run as services/,
  ],
  [
    'ServiceSpec.TaskTemplate.NetworkAttachmentSpec',
    refusedService({ NetworkAttachmentSpec: { ContainerID: 'x' }, Runtime: 'attachment' }),
    /containers are attached to networks by the node/,
  ],
  [
    'ServiceSpec.TaskTemplate.ContainerSpec.Privileges.AppArmor',
    refusedService({ ContainerSpec: { Image: 'x', Privileges: { AppArmor: { Mode: 'x' } } } }),
    /AppArmor mode "x"/,
  ],
  ['HostConfig.Mounts.Type', refusedMount({ Type: 'npipe' }), /not supported/],
];

const warned: readonly (readonly [path: string, json: object])[] = [
  ['ContainerConfig.ArgsEscaped', { ArgsEscaped: true }],
  ...['CpuCount', 'CpuPercent', 'IOMaximumIOps', 'IOMaximumBandwidth'].map(
    (key) => [`HostConfig.${key}`, { [key]: 1 }] as const,
  ),
];

describe('fields of requests', () => {
  const read = Object.entries(documents).flatMap(([name, codec]) => [
    ...readBy(codec as Codec<unknown>, name),
  ]);
  const settledPaths = new Set([
    ...refusals.map(([path]) => path),
    ...warned.map(([path]) => path),
    ...Object.keys(quiet),
  ]);
  /** Mounts are the same wherever they are. */
  const settled = {
    has: (path: string) =>
      settledPaths.has(path.replace(/^.*\.(?=Mounts\.|ContainerIDFile)/, 'HostConfig.')) ||
      settledPaths.has(path.replace(/^.*\.(?=ContainerSpec\.)/, '')) ||
      settledPaths.has(path),
  };

  it('are all read that Docker’s API has', () => {
    const known = new Set(read.map(({ path }) => path));
    const unread = Object.entries(dockersFields)
      .flatMap(([name, fields]) => fields.split(' ').map((field) => `${name}.${field}`))
      .filter((path) => !known.has(path) && !settled.has(path))
      .filter((path) => !(path.startsWith('Endpoint') && toldOnly.has(path.split('.')[1] ?? '')));
    assert.deepEqual(unread, []);
  });

  it('are all used, refused, warned of, or listed with a reason', () => {
    const used = wordsUsed();
    const silent = read.filter(({ path, name }) => !used.has(name) && !settled.has(path));
    assert.deepEqual([...new Set(silent.map(({ path }) => path))], []);
  });

  for (const [path, work, says] of refusals) {
    it(`${path} is refused where it cannot be honoured`, () => assert.throws(work, says));
  }
  for (const [path, json] of warned) {
    it(`${path} is warned of`, () => {
      const key = path.split('.')[1] ?? '';
      const warnings = warningsOf({ config: config(json), host: host(json) });
      assert.deepEqual(warnings, [`${key} is for Windows containers: it changes nothing here`]);
    });
  }

  it('of builds are all read', () => {
    // Steps leave no containers behind that could be removed or kept.
    const settledHere = ['rm', 'forcerm'];
    const files = ['build', 'build-kit', 'build-request'];
    const text = files
      .map((name) => readFileSync(join(root, `api/routes/${name}.ts`), 'utf8'))
      .join('');
    const unread = dockersBuildQuery.split(' ').filter((name) => !text.includes(`'${name}'`));
    assert.deepEqual(unread, settledHere);
  });

  it('ContainerConfig.Shell runs checks that are one text', () => {
    const healthcheck = { test: ['CMD-SHELL', 'check it'] };
    const shell = ['/bin/ash', '-ec'];
    assert.deepEqual(healthCheckOf({ healthcheck, shell })?.argv, [...shell, 'check it']);
    assert.deepEqual(healthCheckOf({ healthcheck })?.argv, ['/bin/sh', '-c', 'check it']);
  });

  it('a driver for all volumes is warned of where mounts have none', () => {
    const mounts = { VolumeDriver: 'd', Mounts: [{ Type: 'volume', Source: 'v', Target: '/v' }] };
    assert.match(String(warningsOf({ config: config({}), host: host(mounts) })), /volume-driver/);
    assert.deepEqual(warningsOf({ config: config({}), host: host({ VolumeDriver: 'd' }) }), []);
    assert.match(String(runtimeWarnings({ runtime: 'runc' }, 'crun')), /with crun, not with runc$/);
    for (const runtime of ['', 'crun']) assert.deepEqual(runtimeWarnings({ runtime }, 'crun'), []);
  });
});
