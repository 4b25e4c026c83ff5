/** The files that every container gets of us: /etc/hosts, /etc/hostname and /etc/resolv.conf. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';
import type { ContainerSpec } from '../../types/index.ts';
import type { ContainerConfig } from '../runtime/runtime.ts';
import type { PreparedTask } from '../task/index.ts';

const localHosts = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'ff00::0\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];
/** Docker's choice where the host has only resolvers that a container cannot reach. */
const publicNameservers = ['8.8.8.8', '8.8.4.4'];

interface FilesRequest {
  readonly containerId: string;
  readonly hostname: string;
  readonly domainname?: string;
  readonly networkMode: PreparedTask['networkMode'];
  /** "172.18.0.5/16". */
  readonly addresses: readonly string[];
  /** Where the swarm's names are answered; it knows which servers to ask for others. */
  readonly resolver?: string;
  /** What `host-gateway` stands for in the spec's hosts; absent: this host itself. */
  readonly gateway?: string;
  readonly spec: ContainerSpec | undefined;
}

export class ContainerFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async write(request: FilesRequest): Promise<ContainerConfig['files']> {
    const folder = join(this.#folder, request.containerId);
    await mkdir(folder, { recursive: true, mode: 0o711 });
    const [hosts, resolv] = await Promise.all([
      readIfThere('/etc/hosts'),
      readIfThere('/etc/resolv.conf'),
    ]);
    const contents = {
      hosts: hostsFile(request, hosts),
      hostname: `${request.hostname}\n`,
      'resolv.conf': resolvFile(request, resolv),
    };
    return Promise.all(
      Object.entries(contents).map(async ([name, text]) => {
        const source = join(folder, name);
        await writeFile(source, text, { mode: 0o644 });
        return { source, target: `/etc/${name}` };
      }),
    );
  }

  /** Of the lines that begin with the name: another address, or none: then they go. */
  async setHost(containerId: string, name: string, address: string | undefined): Promise<void> {
    const path = join(this.#folder, containerId, 'hosts');
    const before = await readFile(path, 'utf8');
    const lines = before.split('\n').flatMap((line) => {
      const [, names = ''] = /^\S+\t(.*)$/.exec(line) ?? [];
      if (names.split(' ')[0] !== name) return [line];
      return address === undefined ? [] : [`${address}\t${names}`];
    });
    const text = lines.join('\n');
    if (text !== before) await writeFile(path, text, { mode: 0o644 });
  }

  async remove(containerId: string): Promise<void> {
    await rm(join(this.#folder, containerId), { recursive: true, force: true });
  }
}

/** A container on the host's network sees the host's names. */
function hostsFile(request: FilesRequest, ofHost: string): string {
  const { gateway = '127.0.0.1' } = request;
  const extra = (request.spec?.hosts ?? []).map((line) =>
    line
      .trim()
      .replace(/^host-gateway(?=\s)/, gateway)
      .replace(/\s+/, '\t'),
  );
  if (request.networkMode === 'host') {
    return [ofHost.trimEnd(), ...extra, ''].join('\n');
  }
  const { hostname, domainname = '' } = request;
  const names = domainname === '' ? hostname : `${hostname}.${domainname} ${hostname}`;
  const own = request.addresses.map((address) => `${address.split('/')[0]}\t${names}`);
  return [...localHosts, ...extra, ...own, ''].join('\n');
}

export function resolvFile(request: FilesRequest, ofHost: string): string {
  const dns = request.spec?.dnsConfig ?? {};
  const lines = ofHost.split('\n').map((line) => line.trim().split(/\s+/));
  const hostNameservers = lines.flatMap(([word, ...rest]) => (word === 'nameserver' ? rest : []));
  const hostSearch = lines.flatMap(([word, ...rest]) => (word === 'search' ? rest : []));
  const hostOptions = lines.flatMap(([word, ...rest]) => (word === 'options' ? rest : []));
  const usable =
    request.networkMode === 'host'
      ? hostNameservers
      : hostNameservers.filter((address) => !/^127\.|^::1$/.test(address));
  const or = (own: readonly string[] | undefined, other: readonly string[]) =>
    own?.length ? own : other;
  const nameservers =
    request.resolver === undefined
      ? or(dns.nameservers, or(usable, publicNameservers))
      : [request.resolver];
  const search = or(dns.search, hostSearch);
  const options = withDots(or(dns.options, hostOptions), request.resolver !== undefined);
  return [
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}

/** Names of a swarm have no dots, and are asked for as they are before the search domains come. */
function withDots(options: readonly string[], ofSwarm: boolean): readonly string[] {
  if (!ofSwarm || options.some((option) => option.startsWith('ndots:'))) return options;
  return [...options, 'ndots:0'];
}

/** Empty for a file that is not there. */
export async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
