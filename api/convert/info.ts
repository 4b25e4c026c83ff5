/** `docker version` and `docker info`. */
import { genericResource } from '../../types/index.ts';
import type { HostInfo, SwarmStatus } from '../backend.ts';
import type { JsonObject } from './json.ts';

export const apiVersionMax = '1.50';
export const apiVersionMin = '1.24';

interface VersionFacts {
  readonly version: string;
  readonly host: HostInfo;
  readonly nodeVersion: string;
}

export function versionJson({ version, host, nodeVersion }: VersionFacts): JsonObject {
  const details = {
    ApiVersion: apiVersionMax,
    MinAPIVersion: apiVersionMin,
    Arch: dockerArchitecture(host.architecture),
    KernelVersion: host.kernelVersion,
    Os: 'linux',
    GitCommit: '',
    // Docker's clients print it: what the engine is made with.
    GoVersion: `node ${nodeVersion}`,
    BuildTime: '',
  };
  return {
    Platform: { Name: 'ts-swarm' },
    Components: [
      { Name: 'Engine', Version: version, Details: { ...details, Experimental: 'false' } },
      { Name: 'containerd', Version: host.containerdVersion, Details: { GitCommit: '' } },
    ],
    Version: version,
    ...details,
  };
}

/** Of the API, 1.N: what was taken from this document with it, and what came. */
const firstWithoutNondistributables = 49;
const firstWithoutExpectedCommits = 49;
const firstWithFirewall = 49;
const firstWithoutBridgeFilters = 50;
const firstWithDevices = 50;

interface InfoFacts {
  /** Of the API's version 1.N that the client speaks. */
  readonly minor: number;
  readonly version: string;
  readonly dataRoot: string;
  readonly host: HostInfo;
  readonly systemTime: string;
  readonly eventListeners: number;
  readonly swarm: JsonObject;
  readonly warnings: readonly string[];
}

export function infoJson(facts: InfoFacts): JsonObject {
  const { host, minor } = facts;
  return {
    ID: host.engineId,
    Containers: host.containers.running + host.containers.stopped,
    ContainersRunning: host.containers.running,
    ContainersPaused: 0,
    ContainersStopped: host.containers.stopped,
    Images: host.images,
    Driver: host.snapshotter,
    DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']],
    Plugins: {
      Volume: host.volumeDrivers,
      Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'],
      Authorization: null,
      Log: host.logDrivers,
    },
    ...limitsJson(facts),
    NEventsListener: facts.eventListeners,
    SystemTime: facts.systemTime,
    LoggingDriver: 'json-file',
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: '',
    OSType: 'linux',
    Architecture: unameArchitecture(host.architecture),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryJson(facts),
    NCPU: host.cpus,
    MemTotal: host.memoryBytes,
    GenericResources:
      host.genericResources.length === 0
        ? null
        : host.genericResources.map((one) => genericResource.encode(one) as JsonObject),
    DockerRootDir: facts.dataRoot,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: host.hostname,
    Labels: host.labels,
    ExperimentalBuild: false,
    ServerVersion: facts.version,
    Runtimes: { [host.ociRuntime]: { path: host.ociRuntime } },
    DefaultRuntime: host.ociRuntime,
    Swarm: facts.swarm,
    // Containers outlive the daemon here, always.
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: '',
    ContainerdCommit: commitJson(host.containerdVersion, minor),
    RuncCommit: commitJson('', minor),
    InitCommit: commitJson('', minor),
    SecurityOptions: ['name=seccomp,profile=builtin'],
    CDISpecDirs: host.cdiFolders,
    ...(minor < firstWithDevices ? {} : devicesJson(host.cdiDevices)),
    ...(minor < firstWithFirewall ? {} : { FirewallBackend: { Driver: 'nftables' } }),
    Warnings: facts.warnings.length === 0 ? null : facts.warnings,
  };
}

interface SwarmInfoFacts {
  readonly status: SwarmStatus;
  /** On a manager only, while the swarm has a leader. */
  readonly manager?: {
    readonly nodes: number;
    readonly managers: number;
    readonly cluster: JsonObject;
  };
}

export function swarmInfoJson({ status, manager }: SwarmInfoFacts): JsonObject {
  return {
    NodeID: status.nodeId,
    NodeAddr: status.nodeAddr,
    LocalNodeState: status.state,
    // Also of a manager that cannot be asked just now: what is wrong is told as the error.
    ControlAvailable: status.isManager,
    Error: status.error,
    RemoteManagers:
      status.remoteManagers.length === 0
        ? null
        : status.remoteManagers.map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr })),
    Nodes: manager?.nodes,
    Managers: manager?.managers,
    Cluster: manager?.cluster,
  };
}

/** What the kernel's cgroups can limit: everything that a task's spec may ask for. */
function limitsJson({ host, minor }: InfoFacts): JsonObject {
  return {
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    // Only the first version of cgroups knows it.
    OomKillDisable: host.cgroupVersion === 1,
    IPv4Forwarding: true,
    // What it says is not so for the nftables here; but older clients warn where they miss it.
    ...(minor < firstWithoutBridgeFilters
      ? { BridgeNfIptables: true, BridgeNfIp6tables: true }
      : {}),
    Debug: false,
    NFd: 0,
    NGoroutines: 0,
    CgroupDriver: 'cgroupfs',
    CgroupVersion: String(host.cgroupVersion),
  };
}

function devicesJson(names: readonly string[]): JsonObject {
  if (names.length === 0) return {};
  return { DiscoveredDevices: names.map((ID) => ({ Source: 'cdi', ID })) };
}

function registryJson({ host, minor }: InfoFacts): JsonObject {
  const insecure = host.insecureRegistries;
  const networks = insecure.filter((registry) => registry.includes('/'));
  const names = insecure.filter((registry) => !registry.includes('/'));
  return {
    ...(minor < firstWithoutNondistributables
      ? {
          AllowNondistributableArtifactsCIDRs: null,
          AllowNondistributableArtifactsHostnames: null,
        }
      : {}),
    InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8', ...networks],
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: [], Secure: true, Official: true },
      ...Object.fromEntries(
        names.map((name) => [name, { Name: name, Mirrors: [], Secure: false, Official: false }]),
      ),
    },
    Mirrors: null,
  };
}

function commitJson(id: string, minor: number): JsonObject {
  return { ID: id, ...(minor < firstWithoutExpectedCommits ? { Expected: id } : {}) };
}

const architectures: readonly (readonly [docker: string, uname: string])[] = [
  ['amd64', 'x86_64'],
  ['arm64', 'aarch64'],
];

/** Go's name of an architecture, which `docker version` shows. */
function dockerArchitecture(name: string): string {
  return architectures.find(([docker, uname]) => name === docker || name === uname)?.[0] ?? name;
}

/** The kernel's name of an architecture, which `docker info` shows. */
function unameArchitecture(name: string): string {
  return architectures.find(([docker, uname]) => name === docker || name === uname)?.[1] ?? name;
}
