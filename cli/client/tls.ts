/** TLS to a daemon on TCP, asked for with the flags and the environment of Docker's CLI. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import { commandError } from '../command/errors.ts';

/** What the command line says; a file that is not named is looked for in the certificate folder. */
export interface TlsFlags {
  /** Use TLS without checking the daemon's certificate. */
  readonly tls: boolean;
  /** Use TLS, and check the daemon's certificate. */
  readonly tlsVerify: boolean;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** Options for node:https. */
export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

/**
 * Undefined where neither flags nor environment ask for TLS. Throws where a file that is named, or
 * that checking the daemon needs, cannot be read.
 */
export function resolveTls(context: {
  readonly tls?: TlsFlags | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}): ClientTls | undefined {
  const { tls: flags, env } = context;
  const verify = flags?.tlsVerify === true || Boolean(env['DOCKER_TLS_VERIFY']);
  if (!verify && flags?.tls !== true) return undefined;
  const folder = env['DOCKER_CERT_PATH'] || join(env['HOME'] || homedir(), '.docker');
  const ca = verify ? read(flags?.caFile ?? join(folder, 'ca.pem')) : undefined;
  const cert = readOr(flags?.certFile, join(folder, 'cert.pem'));
  const key = readOr(flags?.keyFile, join(folder, 'key.pem'));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    rejectUnauthorized: verify,
  };
}

/** A file that is only looked for need not be there: some daemons ask for no certificate. */
function readOr(named: string | undefined, usual: string): string | undefined {
  if (named !== undefined) return read(named);
  try {
    return readFileSync(usual, 'utf8');
  } catch {
    return undefined;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw commandError(
      `cannot read ${file} for TLS (${messageOf(error)}): name the right file with --tlscacert, ` +
        '--tlscert and --tlskey, or their folder with DOCKER_CERT_PATH',
    );
  }
}
