/** The daemon's flags: parsed and validated once, frozen, and passed down. */
import { isAbsolute, join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, SwarmError } from '../lib/errors.ts';
import type { GenericResource } from '../types/index.ts';
import { parseResources } from '../worker/device/index.ts';
import { defaultClusterPort, formatAddr, parseAddr } from '../lib/grpc/index.ts';

const logLevels = ['debug', 'info', 'warn', 'error'] as const;
const ociRuntimes = ['auto', 'crun', 'runc'] as const;

export interface DaemonOptions {
  /** Where the API is served: "unix:///run/ts-swarm/docker.sock", "tcp://127.0.0.1:2375". */
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly runRoot: string;
  /** For TCP addresses of the API: who shows a certificate of this authority commands the host. */
  readonly tls?: TlsFiles;
  /** Address of a containerd that somebody else runs; absent: the daemon runs its own. */
  readonly containerd?: string;
  readonly ociRuntime: (typeof ociRuntimes)[number];
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  /** Engine labels, "key=value". */
  readonly labels: Readonly<Record<string, string>>;
  /** Absent: the host's, which may change while the daemon runs. */
  readonly hostname?: string;
  readonly genericResources: readonly GenericResource[];
  /** What other nodes reach this one at, instead of what it joined with; an interface stands for
   * its address. Empty: what it joined with, or the address that has taken that one's place. */
  readonly advertiseAddr: string;
  /** Where managers may be found, should none be where it was known: "host:port". */
  readonly managerAddrs: readonly string[];
  readonly bridgeSubnet?: string;
  readonly mtu?: number;
  /** Where metrics are served, "host:port". Absent: nowhere. */
  readonly metricsAddr?: string;
  /** Those who read them show the token in this file. */
  readonly metricsTokenFile?: string;
  /** Over TLS with the API's certificate, to those whose certificate the API's CA has signed. */
  readonly metricsTls: boolean;
  readonly logLevel: (typeof logLevels)[number];
  /** Absent: standard error. */
  readonly logFile?: string;
}

/** Paths of PEM files. */
export interface TlsFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const defaultMetricsPort = 9323;
const defaultDataRoot = '/var/lib/ts-swarm';
const defaultRunRoot = '/run/ts-swarm';

export const usage = `Usage: ts-swarm daemon [OPTIONS]

Run the daemon in the foreground

Options:
      --advertise-addr ADDRESS       Address or interface that others reach this host at from now
                                     on (default: the one it joined with, or what replaced it)
      --bridge-subnet CIDR           Subnet of the containers' gateway bridge
      --containerd ADDRESS           Use the containerd at this socket instead of an own one
      --data-root PATH               State that outlives a reboot (default ${defaultDataRoot})
  -H, --host ADDRESS                 Serve the API here: unix://PATH, tcp://127.0.0.1:PORT, or with
                                     TLS tcp://ADDRESS:PORT; repeatable (default
                                     unix://RUN-ROOT/docker.sock)
      --hostname NAME                The node's name (default: the host's)
      --insecure-registry HOST:PORT  Registry that may lack TLS or a known certificate; repeatable
      --label KEY=VALUE              Engine label; repeatable
      --log-file PATH                Log here instead of to standard error
      --log-level LEVEL              ${logLevels.join(', ')} (default info)
      --manager-addr HOST[:PORT]     Where a manager may be, should none be found where it was
                                     known, nor on the local network; a name may have several
                                     addresses; repeatable
      --metrics-addr ADDRESS         Serve Prometheus metrics here, such as 127.0.0.1:9323: to all
                                     who reach it, without TLS, unless the next two say otherwise
      --metrics-tls                  Over TLS with --tlscert, to clients whose certificate the CA
                                     of --tlscacert has signed
      --metrics-token-file PATH      To clients that show this file's token (Authorization: Bearer)
      --mtu BYTES                    MTU of containers' interfaces (default: the uplink's)
      --node-generic-resource KIND=VALUE
                                     What the node has for services that reserve it: a number, or
                                     the name of one; repeatable
      --oci-runtime NAME             ${ociRuntimes.join(', ')} (default auto)
      --registry-mirror URL          Mirror of Docker Hub; repeatable
      --run-root PATH                Sockets, state of this boot (default ${defaultRunRoot})
      --tlscacert PATH               Serve TCP addresses over TLS, to clients whose certificate
                                     this CA has signed
      --tlscert PATH                 Certificate that the API shows
      --tlskey PATH                  Its key
`;

/** Throws SwarmError `invalid-argument` naming the flag. */
export function parseOptions(argv: readonly string[]): DaemonOptions {
  const values = parseFlags(argv);
  const runRoot = absolute('run-root', values['run-root'] ?? defaultRunRoot);
  const hosts = values.host ?? [`unix://${join(runRoot, 'docker.sock')}`];
  const tls = tlsFiles(values);
  for (const host of hosts) checkHost(host, tls !== undefined);
  return Object.freeze({
    hosts,
    dataRoot: absolute('data-root', values['data-root'] ?? defaultDataRoot),
    runRoot,
    ociRuntime: oneOf('oci-runtime', ociRuntimes, values['oci-runtime'] ?? 'auto'),
    insecureRegistries: values['insecure-registry'] ?? [],
    registryMirrors: (values['registry-mirror'] ?? []).map(checkMirror),
    labels: parseLabels(values.label ?? []),
    ...(values.hostname === undefined ? {} : { hostname: values.hostname }),
    genericResources: checkResources(values['node-generic-resource'] ?? []),
    advertiseAddr: checkAddr('advertise-addr', values['advertise-addr'] ?? ''),
    managerAddrs: (values['manager-addr'] ?? []).map((addr) =>
      checkAddr('manager-addr', addr, defaultClusterPort),
    ),
    logLevel: oneOf('log-level', logLevels, values['log-level'] ?? 'info'),
    ...(tls === undefined ? {} : { tls }),
    ...(values.containerd === undefined
      ? {}
      : { containerd: absolute('containerd', values.containerd) }),
    ...(values['bridge-subnet'] === undefined
      ? {}
      : { bridgeSubnet: checkSubnet(values['bridge-subnet']) }),
    ...metricsReaders(values, tls !== undefined),
    ...(values['metrics-addr'] === undefined
      ? {}
      : { metricsAddr: checkAddr('metrics-addr', values['metrics-addr'], defaultMetricsPort) }),
    ...(values.mtu === undefined ? {} : { mtu: checkMtu(values.mtu) }),
    ...(values['log-file'] === undefined
      ? {}
      : { logFile: absolute('log-file', values['log-file']) }),
  });
}

function parseFlags(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        'advertise-addr': { type: 'string' },
        'bridge-subnet': { type: 'string' },
        containerd: { type: 'string' },
        'data-root': { type: 'string' },
        host: { type: 'string', short: 'H', multiple: true },
        hostname: { type: 'string' },
        'insecure-registry': { type: 'string', multiple: true },
        label: { type: 'string', multiple: true },
        'log-file': { type: 'string' },
        'log-level': { type: 'string' },
        'manager-addr': { type: 'string', multiple: true },
        'metrics-addr': { type: 'string' },
        'metrics-tls': { type: 'boolean' },
        'metrics-token-file': { type: 'string' },
        mtu: { type: 'string' },
        'node-generic-resource': { type: 'string', multiple: true },
        'oci-runtime': { type: 'string' },
        'registry-mirror': { type: 'string', multiple: true },
        'run-root': { type: 'string' },
        tlscacert: { type: 'string' },
        tlscert: { type: 'string' },
        tlskey: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw invalid(messageOf(error));
  }
}

function metricsReaders(
  values: {
    readonly 'metrics-addr'?: string | undefined;
    readonly 'metrics-tls'?: boolean | undefined;
    readonly 'metrics-token-file'?: string | undefined;
  },
  hasTls: boolean,
): Pick<DaemonOptions, 'metricsTls' | 'metricsTokenFile'> {
  const metricsTls = values['metrics-tls'] ?? false;
  const tokenFile = values['metrics-token-file'];
  if (values['metrics-addr'] === undefined && (metricsTls || tokenFile !== undefined)) {
    throw invalid('--metrics-tls and --metrics-token-file need --metrics-addr');
  }
  if (metricsTls && !hasTls) {
    throw invalid('--metrics-tls needs --tlscacert, --tlscert and --tlskey');
  }
  return {
    metricsTls,
    ...(tokenFile === undefined
      ? {}
      : { metricsTokenFile: absolute('metrics-token-file', tokenFile) }),
  };
}

function checkResources(words: readonly string[]): readonly GenericResource[] {
  try {
    return parseResources(words);
  } catch (error) {
    throw invalid(`--node-generic-resource: ${messageOf(error)}`);
  }
}

function absolute(flag: string, path: string): string {
  if (!isAbsolute(path)) throw invalid(`--${flag} "${path}" is not an absolute path`);
  return path;
}

function oneOf<const W extends readonly string[]>(
  flag: string,
  words: W,
  value: string,
): W[number] {
  const found = words.find((word) => word === value);
  if (found === undefined) {
    throw invalid(`--${flag} "${value}" is not one of ${words.join(', ')}`);
  }
  return found;
}

/** All three, or none. */
function tlsFiles(values: {
  readonly tlscacert?: string | undefined;
  readonly tlscert?: string | undefined;
  readonly tlskey?: string | undefined;
}): TlsFiles | undefined {
  const { tlscacert, tlscert, tlskey } = values;
  const given = [tlscacert, tlscert, tlskey].filter((file) => file !== undefined);
  if (given.length === 0) return undefined;
  if (tlscacert === undefined || tlscert === undefined || tlskey === undefined) {
    throw invalid('--tlscacert, --tlscert and --tlskey belong together: give all three');
  }
  return {
    caFile: absolute('tlscacert', tlscacert),
    certFile: absolute('tlscert', tlscert),
    keyFile: absolute('tlskey', tlskey),
  };
}

/** An API without TLS on a reachable address would hand root on this host to anybody. */
function checkHost(host: string, hasTls: boolean): void {
  if (/^unix:\/\/\/.+/.test(host)) return;
  if (/^tcp:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+$/.test(host)) return;
  if (hasTls && /^tcp:\/\/(\[[0-9a-f:.]+\]|[\w.-]+):\d+$/i.test(host)) return;
  if (host.startsWith('tcp://') && !hasTls) {
    throw invalid(
      `--host "${host}": without TLS the API is served on loopback addresses only, such as ` +
        'tcp://127.0.0.1:2375; for others give --tlscacert, --tlscert and --tlskey',
    );
  }
  throw invalid(`--host "${host}" is neither unix:///PATH nor tcp://ADDRESS:PORT`);
}

/** With the port filled in, where one is given for that. */
function checkAddr(flag: string, addr: string, port?: number): string {
  try {
    if (addr === '') return addr;
    const parsed = parseAddr(addr, port);
    return port === undefined ? addr : formatAddr(parsed.host, parsed.port);
  } catch (error) {
    throw invalid(`--${flag}: ${messageOf(error)}`);
  }
}

function checkMirror(url: string): string {
  if (!URL.canParse(url)) throw invalid(`--registry-mirror "${url}" is not a URL`);
  return url;
}

function checkSubnet(cidr: string): string {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(cidr);
  const fits = match !== null && Number(match[2]) >= 8 && Number(match[2]) <= 30;
  if (!fits || match[1]?.split('.').some((byte) => Number(byte) > 255)) {
    throw invalid(`--bridge-subnet "${cidr}" is not a subnet such as 172.20.0.0/16`);
  }
  return cidr;
}

function checkMtu(text: string): number {
  const mtu = Number(text);
  if (!Number.isInteger(mtu) || mtu < 576 || mtu > 65_535) {
    throw invalid(`--mtu "${text}" is not a whole number from 576 to 65535`);
  }
  return mtu;
}

function parseLabels(labels: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    labels.map((label) => {
      const [key = '', ...value] = label.split('=');
      if (key === '') throw invalid(`--label "${label}" has no key: write KEY=VALUE`);
      return [key, value.join('=')];
    }),
  );
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
