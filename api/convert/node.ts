import {
  genericResource,
  nodeSpec,
  type Node,
  type NodeStatus,
  type TlsInfo,
} from '../../types/index.ts';
import { csiInfoJson } from './cluster-volume.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';

const reachability: Readonly<Record<NodeStatus['state'], string>> = {
  ready: 'reachable',
  down: 'unreachable',
  disconnected: 'unreachable',
  unknown: 'unknown',
};

export function nodeJson(node: Node, tlsInfo: TlsInfo | undefined): JsonObject {
  const { status, manager } = node;
  return {
    ID: node.id,
    ...metaJson(node.meta),
    Spec: nodeSpec.encode(node.spec) as JsonObject,
    Description: descriptionJson(node, tlsInfo),
    Status: {
      State: status.state,
      Message: status.message === '' ? undefined : status.message,
      Addr: status.addr,
    },
    ManagerStatus:
      manager === undefined
        ? undefined
        : {
            Leader: manager.leader ? true : undefined,
            Reachability: reachabilityOf(node),
            Addr: manager.addr,
          },
  };
}

/** As a manager: one that has lost its log is there as a worker only. */
function reachabilityOf({ manager, status, description }: Node): string {
  if (manager?.leader === true) return 'reachable';
  return description?.standsIn === true ? 'unreachable' : reachability[status.state];
}

export function tlsInfoJson(tlsInfo: TlsInfo | undefined): JsonObject {
  if (tlsInfo === undefined) return {};
  return {
    TrustRoot: tlsInfo.trustRoot,
    CertIssuerSubject: tlsInfo.issuerSubject,
    CertIssuerPublicKey: tlsInfo.issuerPublicKey,
  };
}

function descriptionJson(node: Node, tlsInfo: TlsInfo | undefined): JsonObject {
  const { description } = node;
  if (description === undefined) {
    return { Platform: {}, Resources: {}, Engine: {}, TLSInfo: tlsInfoJson(tlsInfo) };
  }
  const { hostname, platform, resources, engine } = description;
  return {
    Hostname: hostname,
    Platform: { Architecture: platform.architecture, OS: platform.os },
    Resources: {
      NanoCPUs: resources.nanoCpus,
      MemoryBytes: resources.memoryBytes,
      GenericResources: resources.genericResources?.map(
        (resource) => genericResource.encode(resource) as JsonObject,
      ),
    },
    Engine: {
      EngineVersion: engine.version,
      Labels: Object.keys(engine.labels).length === 0 ? undefined : engine.labels,
      Plugins: engine.plugins.map(({ type, name }) => ({ Type: type, Name: name })),
    },
    CSIInfo: csiInfoJson(node),
    // What the node itself has said is nearer to the truth while the root is being replaced.
    TLSInfo: tlsInfoJson(description.tls ?? tlsInfo),
  };
}
