/** Docker's rules for the spec of the swarm itself. */
import { SwarmError } from '../../lib/errors.ts';
import type { SwarmSpec } from '../../types/index.ts';

const hourMs = 3_600_000;
/** A swarm's name is not the user's to choose; Docker's is always this. */
const clusterName = 'default';

/** Throws `invalid-argument` for the first thing that is wrong. */
export function validateCluster(spec: SwarmSpec): void {
  const { nodeCertExpiryMs } = spec.ca;
  // Docker's clients send 0 for "as it is".
  if (nodeCertExpiryMs !== undefined && nodeCertExpiryMs !== 0 && nodeCertExpiryMs < hourMs) {
    throw new SwarmError('invalid-argument', 'minimum certificate expiry time is: 1h0m0s');
  }
  if ((spec.dispatcher.heartbeatPeriodMs ?? 0) < 0) {
    throw new SwarmError('invalid-argument', 'heartbeat time period cannot be a negative duration');
  }
  if (spec.name !== clusterName && spec.name !== '') {
    throw new SwarmError('invalid-argument', 'modification of cluster name is not allowed');
  }
}
