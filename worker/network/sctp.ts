/**
 * What a kernel makes of SCTP. Netfilter translates it wherever connection tracking knows it; that
 * the host's own programs can have sockets of it is another matter, and rarer.
 */
import { closeSync, existsSync } from 'node:fs';
import { SwarmError } from '../../lib/errors.ts';
import { errno, internetSocket, nameSocket, SyscallError } from './syscalls.ts';

const settings = '/proc/sys/net/netfilter';

/** Whether programs can have SCTP sockets. */
export function hasSctpSockets(): boolean {
  try {
    closeSync(internetSocket('sctp', 4));
    return true;
  } catch (error) {
    if (isNoProtocol(error)) return false;
    throw error;
  }
}

/**
 * Whether connection tracking follows SCTP, so that its ports can be translated. Undefined where
 * nothing on this host follows connections yet.
 */
export function tracksSctp(folder = settings): boolean | undefined {
  if (!existsSync(`${folder}/nf_conntrack_max`)) return undefined;
  return existsSync(`${folder}/nf_conntrack_sctp_timeout_established`);
}

/** Throws SwarmError `failed-precondition` where SCTP ports would lead nowhere. */
export function assertSctpTracked(folder = settings): void {
  if (tracksSctp(folder) !== false) return;
  throw new SwarmError(
    'failed-precondition',
    'SCTP ports cannot be published on this host: its kernel does not track SCTP connections ' +
      '(CONFIG_NF_CT_PROTO_SCTP); run another kernel, or use tcp or udp',
  );
}

/**
 * Keeps a port of the present namespace from others; returns a descriptor to be closed. Where no
 * program can have SCTP sockets, a name stands for the port, and keeps it from this and other
 * daemons. Throws SyscallError with `addressInUse` where somebody has it.
 */
export function holdSctpPort(family: 4 | 6, bindTo: { address: string; port: number }): number {
  try {
    return internetSocket('sctp', family, bindTo);
  } catch (error) {
    if (!isNoProtocol(error)) throw error;
  }
  const isAnywhere = bindTo.address === '0.0.0.0' || bindTo.address === '::';
  return nameSocket(`ts-swarm/sctp/${isAnywhere ? '*' : bindTo.address}/${bindTo.port}`);
}

function isNoProtocol(error: unknown): boolean {
  if (!(error instanceof SyscallError)) return false;
  return error.errno === errno.protocolNotSupported || error.errno === errno.typeNotSupported;
}
