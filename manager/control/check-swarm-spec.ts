import type { SwarmSpec } from '../../types/index.ts';
import { refuseUnsupportedSwarm } from './unsupported.ts';
import { validateCluster } from './validate-cluster.ts';

/** For a new swarm as well as for a change of one. Throws what validation and refusal throw. */
export function checkSwarmSpec(spec: SwarmSpec): void {
  validateCluster(spec);
  refuseUnsupportedSwarm(spec);
}
