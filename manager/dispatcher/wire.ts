/** What travels as JSON inside the session's messages, read with care: nodes are not trusted. */
import { isIP } from 'node:net';
import { SwarmError } from '../../lib/errors.ts';
import {
  taskStates,
  type CsiInfo,
  type DataPath,
  type NodeDescription,
  type TaskStatus,
} from '../../types/index.ts';

const textMax = 4_096;
const descriptionBytesMax = 256 * 1024;
const statusBytesMax = 64 * 1024;

export function encodeJson(value: unknown): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(value));
}

/** Throws `invalid-argument` for what is no status that a node may report. */
export function readTaskStatus(bytes: Uint8Array): TaskStatus {
  const status = parse(bytes, 'a task status', statusBytesMax) as Partial<TaskStatus>;
  const { state, atMs, message } = status;
  const order = typeof state === 'string' && Object.hasOwn(taskStates, state) && taskStates[state];
  // A node accepts, runs and ends tasks; it neither makes nor orphans them.
  if (
    typeof order !== 'number' ||
    order < taskStates.accepted ||
    order > taskStates.rejected ||
    typeof atMs !== 'number' ||
    typeof message !== 'string' ||
    (status.err !== undefined && typeof status.err !== 'string') ||
    (status.container !== undefined && typeof status.container !== 'object') ||
    (status.ports !== undefined && !Array.isArray(status.ports)) ||
    (status.networks !== undefined && !areGiven(status.networks))
  ) {
    throw bad('a task status');
  }
  return {
    ...(status as TaskStatus),
    message: message.slice(0, textMax),
    ...(status.err === undefined ? {} : { err: status.err.slice(0, textMax) }),
  };
}

function areGiven(networks: unknown): boolean {
  return (
    Array.isArray(networks) &&
    networks.every(
      (one: { networkId?: unknown; addresses?: unknown } | null) =>
        typeof one?.networkId === 'string' && isNames(one.addresses),
    )
  );
}

/** Throws `invalid-argument` where the parts that planners read are not there. */
export function readDescription(bytes: Uint8Array): NodeDescription {
  const value = parse(bytes, 'a node description', descriptionBytesMax);
  const description = value as Partial<NodeDescription>;
  if (
    typeof description.hostname !== 'string' ||
    typeof description.platform?.os !== 'string' ||
    typeof description.platform.architecture !== 'string' ||
    typeof description.resources?.nanoCpus !== 'number' ||
    typeof description.resources.memoryBytes !== 'number' ||
    typeof description.engine?.version !== 'string' ||
    typeof description.engine.labels !== 'object' ||
    !Array.isArray(description.engine.plugins) ||
    (description.dataPath !== undefined && !isDataPath(description.dataPath)) ||
    (description.volumes !== undefined && !isNames(description.volumes)) ||
    (description.csi !== undefined && !isCsi(description.csi))
  ) {
    throw bad('a node description');
  }
  return description as NodeDescription;
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

function isCsi(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((one: Partial<CsiInfo> | null) => {
      const { driver, nodeId, maxVolumes, isController, topology } = one ?? {};
      return (
        typeof driver === 'string' &&
        typeof nodeId === 'string' &&
        typeof maxVolumes === 'number' &&
        typeof isController === 'boolean' &&
        (topology === undefined || typeof topology === 'object')
      );
    })
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
      (/^[A-Za-z0-9+/]{43}=$/.test(wireguard.publicKey) &&
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
