/** Certificate authorities outside the swarm that sign for its nodes, by CFSSL's protocol. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { rootCertificates } from 'node:tls';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import {
  checkIssuer,
  managerServerName,
  parseCertificate,
  readCertificate,
  unitOf,
} from '../../lib/identity/index.ts';
import type { Cluster, ExternalCa } from '../../types/index.ts';
import { checkRequest, type Subject } from './issue.ts';

const answerBytesMax = 1024 * 1024;
const timeoutMs = 5_000;

/** Whether the two texts are of the same certificate. */
export function isSameCertificate(a: string, b: string): boolean {
  return new X509Certificate(a).raw.equals(new X509Certificate(b).raw);
}

/**
 * Those that sign now. One that signs with another root is passed over: while the root is changed,
 * and after that, the swarm signs itself.
 */
export function externalCasOf({ rootCa, spec }: Pick<Cluster, 'rootCa' | 'spec'>): ExternalCa[] {
  if (rootCa.rotation !== undefined) return [];
  return (spec.ca.externalCas ?? []).filter(
    ({ caCert = '' }) => caCert !== '' && isSameCertificate(caCert, rootCa.certPem),
  );
}

/**
 * A certificate from the first of them that gives one. Throws `unavailable` with what each of them
 * said; none of what they give is taken unless it is what was asked for, of the swarm's own root.
 */
export async function signExternally(
  externalCas: readonly ExternalCa[],
  csrPem: string,
  subject: Subject,
  rootPem: string,
): Promise<string> {
  const { publicKey } = await checkRequest(csrPem);
  const body = JSON.stringify(signRequest(csrPem, subject));
  const troubles: string[] = [];
  for (const { url } of externalCas) {
    try {
      const certPem = await ask(url, body, rootPem);
      checkAnswer(certPem, publicKey, subject, rootPem);
      return certPem;
    } catch (error) {
      troubles.push(`${url}: ${messageOf(error)}`);
    }
  }
  throw new SwarmError('unavailable', `no external CA signs: ${troubles.join('; ')}`);
}

/** The names as CFSSL has them. */
function signRequest(csrPem: string, { nodeId, role, clusterId }: Subject) {
  const isManager = role === 'manager';
  return {
    hosts: isManager ? [managerServerName, 'swarm-ca', nodeId] : [nodeId],
    certificate_request: csrPem,
    subject: { CN: nodeId, names: [{ O: clusterId, OU: unitOf[role] }] },
    profile: '',
    crl_override: '',
    label: '',
  };
}

async function ask(url: string, body: string, rootPem: string): Promise<string> {
  const sent = request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    // The swarm's own root may have signed for the server as well.
    ca: [rootPem, ...rootCertificates],
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const text = await textOf(response);
  if (response.statusCode !== 200) throw new Error(`it answers HTTP ${response.statusCode}`);
  let answer: {
    readonly success?: unknown;
    readonly result?: { readonly certificate?: unknown } | null;
    readonly errors?: readonly { readonly message?: unknown }[] | null;
  };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch (error) {
    throw new Error('its answer is no JSON', { cause: error });
  }
  const certificate = answer?.result?.certificate;
  if (answer?.success === true && typeof certificate === 'string') return certificate;
  const said = (answer?.errors ?? []).map(({ message }) => String(message)).join(', ');
  throw new Error(said === '' ? 'it signs nothing, and says not why' : `it says: ${said}`);
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > answerBytesMax) throw new Error('its answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Throws where the certificate is not the one that was asked for. */
function checkAnswer(
  certPem: string,
  publicKey: Uint8Array,
  { nodeId, role, clusterId }: Subject,
  rootPem: string,
): void {
  const certificate = parseCertificate(certPem);
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' });
  if (!key.equals(Buffer.from(publicKey))) throw new Error('its certificate is of another key');
  const given = readCertificate(certificate);
  if (given.nodeId !== nodeId || given.role !== role || given.clusterId !== clusterId) {
    throw new Error('its certificate is for another name');
  }
  if (role === 'manager' && certificate.checkHost(managerServerName) === undefined) {
    throw new Error(`its certificate lacks the name ${managerServerName}`);
  }
  try {
    checkIssuer(certificate, parseCertificate(rootPem));
  } catch (error) {
    throw new Error("it has not signed with the swarm's root", { cause: error });
  }
}
