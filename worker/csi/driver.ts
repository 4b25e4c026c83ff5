/** One driver, on its socket. */
import { credentials } from '@grpc/grpc-js';
import type { DescService } from '@bufbuild/protobuf';
import {
  Controller,
  ControllerServiceCapability_RPC_Type as ControllerRpc,
  Identity,
  Node,
  NodeServiceCapability_RPC_Type as NodeRpc,
  PluginCapability_Service_Type as Service,
} from '../../gen/csi/csi_pb.js';
import { SwarmError } from '../../lib/errors.ts';
import { Connection, type CallOptions, type ClientOf } from '../../lib/grpc/index.ts';
import type { CsiInfo } from '../../types/index.ts';

/** What takes longer is not waited for: a look around must not hang on one driver. */
const lookTimeoutMs = 5_000;

interface Capabilities {
  readonly info: CsiInfo;
  /** It makes and deletes volumes. */
  readonly makes: boolean;
  /** Volumes have to be published to nodes before these can mount them. */
  readonly publishes: boolean;
  /** Not all nodes reach all volumes. */
  readonly hasTopology: boolean;
  /** Nodes mount a volume in two steps. */
  readonly stages: boolean;
}

export class CsiDriver implements Disposable {
  readonly name: string;
  readonly capabilities: Capabilities;
  readonly #connection: Connection;

  private constructor(name: string, capabilities: Capabilities, connection: Connection) {
    this.name = name;
    this.capabilities = capabilities;
    this.#connection = connection;
  }

  /** Asks who answers on the socket. Throws where nobody does, or is not ready yet. */
  static async open(socketPath: string): Promise<CsiDriver> {
    const addr = `unix:${socketPath}`;
    const connection = new Connection({ addr, credentials: credentials.createInsecure() });
    try {
      const options = { timeoutMs: lookTimeoutMs };
      const identity = connection.client(Identity);
      const { name } = await identity.getPluginInfo({}, options);
      if (name === '')
        throw new SwarmError('invalid-argument', 'the driver does not tell its name');
      const { ready } = await identity.probe({}, options);
      if (ready === false)
        throw new SwarmError('unavailable', `the driver ${name} is not ready yet`);
      return new CsiDriver(name, await capabilitiesOf(name, connection, options), connection);
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  /** What it throws is in the driver's own words. */
  async ask<S extends DescService, T>(
    service: S,
    call: (client: ClientOf<S>, options: CallOptions) => Promise<T>,
    options: CallOptions,
  ): Promise<T> {
    try {
      return await call(this.#connection.client(service), options);
    } catch (error) {
      throw inOwnWords(this.name, error);
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}

async function capabilitiesOf(
  name: string,
  connection: Connection,
  options: CallOptions,
): Promise<Capabilities> {
  const { capabilities } = await connection.client(Identity).getPluginCapabilities({}, options);
  const services = new Set(
    capabilities.map(({ type }) => (type.case === 'service' ? type.value.type : Service.UNKNOWN)),
  );
  const isController = services.has(Service.CONTROLLER_SERVICE);
  const asController = isController
    ? (await connection.client(Controller).controllerGetCapabilities({}, options)).capabilities
    : [];
  const controllerRpcs = new Set(asController.map(({ type }) => type.value?.type));
  const node = await nodeOf(connection, options);
  return {
    info: { driver: name, isController, ...node.info },
    makes: controllerRpcs.has(ControllerRpc.CREATE_DELETE_VOLUME),
    publishes: controllerRpcs.has(ControllerRpc.PUBLISH_UNPUBLISH_VOLUME),
    hasTopology: services.has(Service.VOLUME_ACCESSIBILITY_CONSTRAINTS),
    stages: node.stages,
  };
}

/** A driver may be here as a controller alone. */
async function nodeOf(connection: Connection, options: CallOptions) {
  const client = connection.client(Node);
  try {
    const { nodeId, maxVolumesPerNode, accessibleTopology } = await client.nodeGetInfo({}, options);
    const { capabilities } = await client.nodeGetCapabilities({}, options);
    return {
      info: {
        nodeId,
        maxVolumes: Number(maxVolumesPerNode),
        ...(accessibleTopology === undefined
          ? {}
          : { topology: { segments: accessibleTopology.segments } }),
      },
      stages: capabilities.some(({ type }) => type.value?.type === NodeRpc.STAGE_UNSTAGE_VOLUME),
    };
  } catch (error) {
    if (SwarmError.from(error).code !== 'unimplemented') throw error;
    return { info: { nodeId: '', maxVolumes: 0 }, stages: false };
  }
}

function inOwnWords(driver: string, thrown: unknown): SwarmError {
  const error = SwarmError.from(thrown);
  const { details } = Object(error.cause) as { details?: unknown };
  const said = typeof details === 'string' && details !== '' ? details : error.message;
  return new SwarmError(error.code, `${driver}: ${said}`, { cause: thrown });
}
