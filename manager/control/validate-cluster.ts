/** Docker's rules for the spec of the swarm itself. */
import { X509Certificate } from 'node:crypto';
import { SwarmError } from '../../lib/errors.ts';
import { periodCeilingMs } from '../dispatcher/period.ts';
import type { ExternalCa, SwarmSpec } from '../../types/index.ts';

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
  for (const externalCa of spec.ca.externalCas ?? []) validateExternalCa(externalCa);
  const { heartbeatPeriodMs = 0 } = spec.dispatcher;
  if (heartbeatPeriodMs < 0) throw wrong('heartbeat time period cannot be a negative duration');
  if (heartbeatPeriodMs > periodCeilingMs) {
    throw wrong('heartbeat time period cannot be more than 24h: no lost node would be missed');
  }
  if (spec.name !== clusterName && spec.name !== '') {
    throw new SwarmError('invalid-argument', 'modification of cluster name is not allowed');
  }
}

function validateExternalCa({ protocol, url, options = {}, caCert = '' }: ExternalCa): void {
  if (protocol !== 'cfssl') {
    throw wrong(`the external CA ${url} is of the protocol "${protocol}", and can be of cfssl`);
  }
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') {
    throw wrong(`the external CA "${url}" is no address: give url=https://HOST/api/v1/cfssl/sign`);
  }
  const [option] = Object.keys(options);
  if (option !== undefined) {
    throw wrong(`the external CA ${url} has the option ${option}, and takes url and cacert alone`);
  }
  if (caCert === '') return;
  try {
    void new X509Certificate(caCert).raw;
  } catch (error) {
    throw new SwarmError(
      'invalid-argument',
      `the cacert of the external CA ${url} cannot be read: is it PEM?`,
      { cause: error },
    );
  }
}

function wrong(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
