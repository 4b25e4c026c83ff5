import { swarmSpec, type Cluster, type TlsInfo } from '../../types/index.ts';
import { withSwarmDefaults } from './defaults.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';
import { tlsInfoJson } from './node.ts';

/** What everyone may see of a swarm: `docker info` shows it too. */
export function clusterInfoJson(cluster: Cluster, tlsInfo: TlsInfo | undefined): JsonObject {
  return {
    ID: cluster.id,
    ...metaJson(cluster.meta),
    Spec: swarmSpecJson(cluster),
    TLSInfo: tlsInfoJson(tlsInfo),
    RootRotationInProgress: cluster.rootCa.rotation !== undefined,
    DataPathPort: cluster.dataPathPort,
    DefaultAddrPool: cluster.defaultAddressPools,
    SubnetSize: cluster.subnetSize,
  };
}

/** With the join tokens: for managers' clients only. */
export function swarmJson(cluster: Cluster, tlsInfo: TlsInfo | undefined): JsonObject {
  const { worker, manager } = cluster.rootCa.joinTokens;
  return {
    ...clusterInfoJson(cluster, tlsInfo),
    JoinTokens: { Worker: worker, Manager: manager },
  };
}

/** A signing key is taken in, and never given out; nor its certificate, which needs the key. */
function swarmSpecJson(cluster: Cluster): JsonObject {
  const spec = withSwarmDefaults(cluster.spec);
  const json = swarmSpec.encode(spec) as JsonObject;
  const ca = json['CAConfig'] as JsonObject;
  return { ...json, CAConfig: { ...ca, SigningCACert: undefined, SigningCAKey: undefined } };
}
