/** Containers as Docker's clients see them. */
import { humanDuration } from '../../lib/units.ts';
import { containerDocument, hostDocument } from '../../types/index.ts';
import type {
  BoundPort,
  ConnectedNetwork,
  ContainerView,
  HealthView,
  WantedNetwork,
} from '../../worker/container/view.ts';
import type { Image } from '../../worker/image/images.ts';
import type { MountView } from '../../worker/volume/volume.ts';
import { descriptorJson } from './image.ts';
import type { Json, JsonObject } from './json.ts';
import { timeText, zeroTime } from './time.ts';

/** Of the API, 1.N: since then, containers tell the manifest that they were made of. */
const firstWithManifest = 48;

interface ContainerFacts {
  readonly snapshotter: string;
  /** Of the API's version 1.N that the client speaks. */
  readonly minor: number;
  /** The container's image, where it is still here. */
  readonly image?: Pick<Image, 'manifest'> | undefined;
  /** Bytes; told where they were asked for. */
  readonly size?: { readonly layer: number; readonly whole: number };
}

export function containerInspectJson(view: ContainerView, facts: ContainerFacts): JsonObject {
  const { record, files } = view;
  const [path = '', ...args] = record.argv;
  return {
    Id: record.id,
    Created: timeText(record.createdAtMs),
    Path: path,
    Args: args,
    State: stateJson(view),
    Image: record.imageId,
    ResolvConfPath: files['/etc/resolv.conf'] ?? '',
    HostnamePath: files['/etc/hostname'] ?? '',
    HostsPath: files['/etc/hosts'] ?? '',
    LogPath: view.logPath,
    Name: `/${record.name}`,
    RestartCount: view.state.restartCount,
    Driver: facts.snapshotter,
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: record.host.privileged ? 'unconfined' : '',
    ExecIDs: view.execIds.length === 0 ? null : view.execIds,
    HostConfig: {
      ...(hostDocument.encode(record.host) as JsonObject),
      Links: view.links?.length ? [...view.links] : null,
    },
    GraphDriver: { Data: null, Name: facts.snapshotter },
    ...sizeJson(facts),
    ...manifestJson(facts),
    Mounts: mountsJson(view),
    Config: containerDocument.encode(record.config) as JsonObject,
    NetworkSettings: networkSettingsJson(view),
  };
}

export function containerSummaryJson(
  view: ContainerView,
  facts: ContainerFacts,
  nowMs: number,
): JsonObject {
  const { record, state } = view;
  return {
    Id: record.id,
    Names: [record.name, ...(view.otherNames ?? [])].map((name) => `/${name}`).toSorted(),
    Image: record.config.image,
    ImageID: record.imageId,
    Command: commandText(record.argv),
    Created: Math.floor(record.createdAtMs / 1000),
    Ports: view.ports.map(portSummaryJson),
    ...sizesOf(facts),
    ...manifestJson(facts),
    Labels: record.config.labels ?? {},
    State: state.status,
    Status: statusText(view, nowMs),
    HostConfig: { NetworkMode: networkModeOf(view) },
    NetworkSettings: { Networks: networksJson(view) },
    Mounts: mountsJson(view),
  };
}

/** In a list, Docker leaves out what is nothing. */
function sizesOf({ size }: ContainerFacts): JsonObject {
  return {
    ...(size?.layer ? { SizeRw: size.layer } : {}),
    ...(size?.whole ? { SizeRootFs: size.whole } : {}),
  };
}

function manifestJson({ image, minor }: ContainerFacts): JsonObject {
  if (image === undefined || minor < firstWithManifest) return {};
  return { ImageManifestDescriptor: descriptorJson(image.manifest) };
}

function sizeJson({ size }: ContainerFacts): JsonObject {
  return size === undefined ? {} : { SizeRw: size.layer, SizeRootFs: size.whole };
}

function stateJson({ state }: ContainerView): JsonObject {
  const { status } = state;
  return {
    Status: status,
    Running: ['running', 'paused', 'restarting'].includes(status),
    Paused: status === 'paused',
    Restarting: status === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: status === 'dead',
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAtMs === 0 ? zeroTime : timeText(state.startedAtMs),
    FinishedAt: state.finishedAtMs === 0 ? zeroTime : timeText(state.finishedAtMs),
    ...(state.health === undefined ? {} : { Health: healthJson(state.health) }),
  };
}

function healthJson({ status, failingStreak, log }: HealthView): JsonObject {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ startMs, endMs, exitCode, output }) => ({
      Start: timeText(startMs),
      End: timeText(endMs),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

function mountsJson({ mounts, record }: ContainerView): JsonObject[] {
  // What was written after the second colon of -v.
  const modes = new Map(
    (record.host.binds ?? []).map((bind) => {
      const [, target = '', words = ''] = bind.split(':');
      return [target, words];
    }),
  );
  const mounted = new Set((record.host.mounts ?? []).map(({ target }) => target));
  return mounts.flatMap((view) => {
    const { target, type } = view.mount;
    const mode = modes.get(target) ?? '';
    // As Docker has it: volumes that were asked for by --mount or -v are labelled for SELinux.
    const isLabelled = type === 'volume' && (modes.has(target) || mounted.has(target));
    return mountJson(view, mode === '' && isLabelled ? 'z' : mode);
  });
}

function mountJson({ mount, volume, image }: MountView, mode: string): JsonObject[] {
  const { type, source = '', target, readOnly = false, bindOptions } = mount;
  const named = volume ?? image;
  // As in Docker, those of --tmpfs are told of in the host's configuration only.
  if (type === 'tmpfs' && mount.tmpfsOptions?.options !== undefined) return [];
  return [
    {
      Type: type,
      ...(named === undefined ? {} : { Name: named.name }),
      Source: volume?.mountpoint ?? image?.path ?? source,
      Destination: target,
      ...(volume === undefined ? {} : { Driver: volume.driver }),
      Mode: mode,
      RW: !readOnly && image === undefined,
      Propagation: type === 'bind' ? (bindOptions?.propagation ?? 'rprivate') : '',
    },
  ];
}

function networkModeOf({ record }: ContainerView): string {
  return record.host.networkMode;
}

function networkSettingsJson(view: ContainerView): JsonObject {
  const networks = networksJson(view);
  const { EndpointID, Gateway, IPAddress, IPPrefixLen, MacAddress } = networks['bridge'] ?? nowhere;
  return {
    Bridge: '',
    SandboxID: view.state.pid === 0 ? '' : view.record.id,
    SandboxKey: view.netnsPath ?? '',
    Ports: portsJson(view.ports),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID,
    Gateway,
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress,
    IPPrefixLen,
    IPv6Gateway: '',
    MacAddress,
    Networks: networks,
  };
}

const nowhere = { EndpointID: '', Gateway: '', IPAddress: '', IPPrefixLen: 0, MacAddress: '' };

function networksJson(view: ContainerView): Record<string, JsonObject> {
  const mode = networkModeOf(view);
  const { record, networks } = view;
  if (mode.startsWith('container:')) return {};
  if (mode === 'host' || mode === 'none') return { [mode]: endpointJson(view, { name: mode }) };
  const joined = networks.map((one) => [one.name, endpointJson(view, one)] as const);
  // Networks of one that does not run: where it will be.
  const others = record.networks
    .filter((wanted) => !networks.some((one) => isNetwork(one, wanted.network)))
    .map((wanted) => [wanted.network, endpointJson(view, { name: wanted.network })] as const);
  return Object.fromEntries([...joined, ...others]);
}

/** By whatever the user calls it. */
function isNetwork(
  { name, networkId }: { readonly name: string; readonly networkId: string },
  reference: string,
): boolean {
  return name === reference || networkId === reference;
}

function endpointJson(
  { record, state }: ContainerView,
  one: Partial<ConnectedNetwork> & { readonly name: string },
): JsonObject {
  const { name, networkId = '', addresses = [], gateways = [], macAddress = '' } = one;
  const isIpv6 = (text: string) => text.includes(':');
  const ofFamily = (six: boolean) => addresses.find((text) => isIpv6(text) === six) ?? '';
  const gatewayOf = (six: boolean) => gateways.find((text) => isIpv6(text) === six) ?? '';
  const [address = '', prefix = '0'] = ofFamily(false).split('/');
  const [address6 = '', prefix6 = '0'] = ofFamily(true).split('/');
  const wanted = record.networks.find(({ network }) => isNetwork({ name, networkId }, network));
  const { aliases = [], driverOpts = null, gwPriority, links = [] } = wanted ?? {};
  return {
    IPAMConfig: ipamJson(wanted),
    Links: links.length === 0 ? null : [...links],
    Aliases: aliases.length === 0 ? null : aliases,
    MacAddress: macAddress,
    DriverOpts: driverOpts,
    GwPriority: gwPriority,
    NetworkID: networkId || name,
    EndpointID: state.pid === 0 ? '' : record.id,
    Gateway: gatewayOf(false),
    IPAddress: address,
    IPPrefixLen: Number(prefix),
    IPv6Gateway: gatewayOf(true),
    GlobalIPv6Address: address6,
    GlobalIPv6PrefixLen: Number(prefix6),
    DNSNames: null,
  };
}

/** What was asked for; null where nothing was. */
function ipamJson({ ipv4, ipv6, linkLocalIps }: Partial<WantedNetwork> = {}): JsonObject | null {
  if (ipv4 === undefined && ipv6 === undefined && linkLocalIps === undefined) return null;
  return {
    IPv4Address: ipv4,
    IPv6Address: ipv6,
    ...(linkLocalIps === undefined ? {} : { LinkLocalIPs: [...linkLocalIps] }),
  };
}

/** Standalone containers of this node that are on the network, by their ids. */
export function joinedJson(networkId: string, views: Iterable<ContainerView>): JsonObject {
  const joined = [...views].flatMap(({ record, networks }) => {
    const one = networks.find((network) => network.networkId === networkId);
    if (one === undefined) return [];
    const json = {
      Name: record.name,
      EndpointID: record.id,
      MacAddress: one.macAddress,
      IPv4Address: one.addresses.find((address) => !address.includes(':')) ?? '',
      IPv6Address: one.addresses.find((address) => address.includes(':')) ?? '',
    };
    return [[record.id, json] as const];
  });
  return Object.fromEntries(joined);
}

/** By "80/tcp"; null where the port is exposed only. */
function portsJson(ports: readonly BoundPort[]): JsonObject {
  const out: Record<string, Json> = {};
  for (const { containerPort, protocol, hostIp, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`;
    if (hostPort === undefined) {
      out[key] ??= null;
      continue;
    }
    const before = (out[key] ?? []) as readonly Json[];
    out[key] = [...before, { HostIp: hostIp ?? '', HostPort: String(hostPort) }];
  }
  return out;
}

function portSummaryJson({ containerPort, protocol, hostIp, hostPort }: BoundPort): JsonObject {
  return {
    ...(hostIp === undefined ? {} : { IP: hostIp }),
    PrivatePort: containerPort,
    ...(hostPort === undefined ? {} : { PublicPort: hostPort }),
    Type: protocol,
  };
}

/** As a line; what has spaces is put between quotes. */
function commandText([path = '', ...args]: readonly string[]): string {
  return [path, ...args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ');
}

/** "Up 5 minutes (healthy)", "Exited (0) 2 hours ago". */
function statusText({ state }: ContainerView, nowMs: number): string {
  const up = `Up ${humanDuration(nowMs - state.startedAtMs)}`;
  const since = `${humanDuration(nowMs - state.finishedAtMs)} ago`;
  switch (state.status) {
    case 'paused':
      return `${up} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since}`;
    case 'running': {
      if (state.health === undefined) return up;
      const { status } = state.health;
      return `${up} (${status === 'starting' ? 'health: starting' : status})`;
    }
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'exited':
      return `Exited (${state.exitCode}) ${since}`;
    default:
      return 'Created';
  }
}
