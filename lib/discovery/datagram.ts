/** What goes over the network: signed, so that only nodes of the swarm are heard. */
import { verify, X509Certificate } from 'node:crypto';
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { BodySchema, DatagramSchema, type Body } from '../../gen/discovery_pb.js';
import { SwarmError } from '../errors.ts';
import type { NodePeer } from '../grpc/index.ts';
import { parseChain, type NodeIdentity } from '../identity/index.ts';

/** A node's certificate, and those of a root that gives way to others. */
const certificatesMax = 4;
const datagramBytesMax = 8_192;
/** The key signs other things as well: none of them begins like this. */
const context = Buffer.from('ts-swarm discovery 1\n');

type Identity = Pick<NodeIdentity, 'clusterId' | 'certPem' | 'sign' | 'authenticateChain'>;

interface Opened {
  readonly body: Body;
  readonly sender: NodePeer;
}

export function seal(
  identity: Identity,
  message: NonNullable<MessageInitShape<typeof BodySchema>['message']>,
): Buffer {
  const { clusterId, certPem } = identity;
  const body = toBinary(BodySchema, create(BodySchema, { clusterId, message }));
  const datagram = create(DatagramSchema, {
    body,
    signature: identity.sign(Buffer.concat([context, body])),
    certificates: parseChain(certPem)
      .slice(0, certificatesMax)
      .map(({ raw }) => raw),
  });
  return Buffer.from(toBinary(DatagramSchema, datagram));
}

/** Undefined for what is none of this swarm's: dropped before anything is verified. */
export function bodyOf(identity: Identity, bytes: Uint8Array): Body | undefined {
  if (bytes.length > datagramBytesMax) return undefined;
  const body = parse(() => fromBinary(BodySchema, fromBinary(DatagramSchema, bytes).body));
  return body.clusterId === identity.clusterId ? body : undefined;
}

/** Throws `unauthenticated` unless a node of this swarm has signed it. */
export function open(identity: Identity, bytes: Uint8Array): Opened {
  const { body, signature, certificates } = parse(() => fromBinary(DatagramSchema, bytes));
  if (certificates.length > certificatesMax) throw refused('it carries too many certificates');
  const chain = certificates.map((der) => Buffer.from(der));
  const sender = identity.authenticateChain(chain);
  const signed = Buffer.concat([context, body]);
  const [leaf] = chain;
  if (leaf === undefined || !isSignedBy(leaf, signed, signature)) {
    throw refused('its signature is wrong');
  }
  return { body: parse(() => fromBinary(BodySchema, body)), sender };
}

function isSignedBy(leaf: Buffer, signed: Buffer, signature: Uint8Array): boolean {
  return verify('sha256', signed, new X509Certificate(leaf).publicKey, signature);
}

function parse<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new SwarmError('unauthenticated', 'a datagram cannot be read', { cause: error });
  }
}

function refused(why: string): SwarmError {
  return new SwarmError('unauthenticated', `a datagram was refused: ${why}`);
}
