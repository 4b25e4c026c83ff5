/** What travels as JSON inside the session's messages, read with care: nodes are not trusted. */
import { isIP } from 'node:net';
import { SwarmError } from '../../lib/errors.ts';
import {
  taskStates,
  type CsiInfo,
  type DataPath,
  type GenericResource,
  type NodeDescription,
  type PortConfig,
  type TaskNetwork,
  type TaskStatus,
} from '../../types/index.ts';

const textMax = 4_096;
const descriptionBytesMax = 256 * 1024;
const statusBytesMax = 64 * 1024;
/** What a Date can be. */
const timeMaxMs = 8.64e15;

type Container = NonNullable<TaskStatus['container']>;

export function encodeJson(value: unknown): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(value));
}

/**
 * Throws `invalid-argument` for what is no status that a node may report. What it reads is stored,
 * planned with, and shown: nothing of it is taken on trust, and nothing else is taken.
 */
export function readTaskStatus(bytes: Uint8Array): TaskStatus {
  const status = parse(bytes, 'a task status', statusBytesMax) as Partial<TaskStatus>;
  const { state, atMs, message, err, container, ports, networks } = status;
  const order = typeof state === 'string' && Object.hasOwn(taskStates, state) && taskStates[state];
  // A node accepts, runs and ends tasks; it neither makes nor orphans them.
  if (
    typeof order !== 'number' ||
    order < taskStates.accepted ||
    order > taskStates.rejected ||
    !isTime(atMs) ||
    typeof message !== 'string' ||
    (err !== undefined && typeof err !== 'string') ||
    (container !== undefined && !isContainer(container)) ||
    (ports !== undefined && !isListOf(ports, isPort)) ||
    (networks !== undefined && !isListOf(networks, isGiven))
  ) {
    throw bad('a task status');
  }
  return {
    state: state!,
    atMs,
    message: message.slice(0, textMax),
    ...(err === undefined ? {} : { err: err.slice(0, textMax) }),
    ...(container === undefined ? {} : { container }),
    ...(ports === undefined ? {} : { ports }),
    ...(networks === undefined ? {} : { networks }),
  };
}

function isContainer(container: Partial<Container> | null): boolean {
  const { containerId, pid, exitCode } = container ?? {};
  return (
    isName(containerId) &&
    Number.isSafeInteger(pid) &&
    (exitCode === undefined || Number.isSafeInteger(exitCode))
  );
}

function isPort({ name, protocol, targetPort, publishedPort, publishMode }: Partial<PortConfig>) {
  return (
    (name === undefined || isName(name)) &&
    ['tcp', 'udp', 'sctp'].includes(protocol ?? '') &&
    isPortNumber(targetPort) &&
    (publishedPort === undefined || isPortNumber(publishedPort)) &&
    ['ingress', 'host'].includes(publishMode ?? '')
  );
}

function isPortNumber(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 65_536;
}

function isGiven({ networkId, addresses }: Partial<TaskNetwork>): boolean {
  return isName(networkId) && isListOf(addresses, isCidr);
}

function isCidr(value: unknown): boolean {
  const [, address = '', prefix = ''] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(String(value)) ?? [];
  return Number(prefix) <= (isIP(address) === 4 ? 32 : 128) && isIP(address) !== 0;
}

/** Throws `invalid-argument` where the parts that planners read are not there. */
export function readDescription(bytes: Uint8Array): NodeDescription {
  const value = parse(bytes, 'a node description', descriptionBytesMax);
  const { hostname, platform, resources, engine, ...more } = value as Partial<NodeDescription>;
  const { tls, dataPath, standsIn, volumes, csi } = more;
  if (
    !isName(hostname) ||
    !isName(platform?.os) ||
    !isName(platform.architecture) ||
    !Number.isFinite(resources?.nanoCpus) ||
    !Number.isFinite(resources?.memoryBytes) ||
    !isListOf(resources?.genericResources ?? [], isResource) ||
    !isName(engine?.version) ||
    !isTexts(engine.labels) ||
    !isListOf(engine.plugins, ({ type, name }) => isName(type) && isName(name)) ||
    (tls !== undefined && !isTexts(tls)) ||
    (dataPath !== undefined && !isDataPath(dataPath)) ||
    (standsIn !== undefined && typeof standsIn !== 'boolean') ||
    (volumes !== undefined && !isListOf(volumes, isName)) ||
    (csi !== undefined && !isListOf(csi, isCsi))
  ) {
    throw bad('a node description');
  }
  return value as NodeDescription;
}

function isResource({ named, discrete }: GenericResource): boolean {
  return (
    (named === undefined || isTexts(named)) &&
    (discrete === undefined || (isName(discrete?.kind) && Number.isSafeInteger(discrete.value)))
  );
}

function isCsi({ driver, nodeId, maxVolumes, isController, topology }: Partial<CsiInfo>): boolean {
  return (
    isName(driver) &&
    isName(nodeId) &&
    Number.isSafeInteger(maxVolumes) &&
    typeof isController === 'boolean' &&
    (topology === undefined || ((topology as unknown) !== null && isTexts(topology.segments ?? {})))
  );
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= timeMaxMs;
}

/** Names are shown on terminals. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && !/\p{Cc}/u.test(value);
}

function isTexts(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

/** A list of what is there at all: `test` may read its properties. */
function isListOf<T>(value: readonly T[] | undefined, test: (entry: T) => boolean): boolean {
  return (
    Array.isArray(value) &&
    value.every((entry: T | null | undefined) => entry != null && test(entry))
  );
}

/** Other nodes make kernel objects of it. */
function isDataPath(value: unknown): value is DataPath {
  const { address, wireguard, ipv6 = false } = (value ?? {}) as Partial<DataPath>;
  return (
    typeof address === 'string' &&
    isIP(address) !== 0 &&
    typeof ipv6 === 'boolean' &&
    (wireguard === undefined ||
      (/^[A-Za-z0-9+/]{43}=$/.test(wireguard?.publicKey ?? '') &&
        Number.isInteger(wireguard.port) &&
        wireguard.port > 0 &&
        wireguard.port < 65_536))
  );
}

function parse(bytes: Uint8Array, what: string, bytesMax: number): object {
  if (bytes.length > bytesMax) throw bad(what);
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    throw bad(what, error);
  }
  throw bad(what);
}

function bad(what: string, cause?: unknown): SwarmError {
  return new SwarmError('invalid-argument', `the node sent ${what} that cannot be understood`, {
    cause,
  });
}
