/** Where a registry's API may be found, in the order in which to try. */
import { lookup as systemLookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import { defaultDomain } from '../reference.ts';

export interface Endpoint {
  /** "https://host:port". */
  readonly origin: string;
  readonly verifyTls: boolean;
  /** A mirror is never shown credentials, and any failure of it leads to the next endpoint. */
  readonly mirror: boolean;
}

/** docker.io's API is served under another name. */
const dockerHubHost = 'registry-1.docker.io';
const loopback = ['127.0.0.0/8', '::1/128'];

export class EndpointPolicy {
  readonly #hosts: ReadonlySet<string>;
  readonly #networks = new BlockList();
  readonly #mirrors: readonly string[];
  readonly #lookup: (host: string) => Promise<readonly string[]>;

  /**
   * `insecureRegistries`: "host:port", "host" or CIDRs; loopback always counts as insecure.
   * `mirrors`: URLs of mirrors of docker.io. Throws `invalid-argument` for what is neither.
   */
  constructor(options: {
    insecureRegistries: readonly string[];
    mirrors: readonly string[];
    lookup?: (host: string) => Promise<readonly string[]>;
  }) {
    const networks = options.insecureRegistries.filter((entry) => entry.includes('/'));
    for (const entry of [...loopback, ...networks]) addNetwork(this.#networks, entry);
    this.#hosts = new Set(options.insecureRegistries.filter((entry) => !entry.includes('/')));
    this.#mirrors = options.mirrors.map(mirrorOrigin);
    this.#lookup = options.lookup ?? lookupAll;
  }

  async endpointsOf(domain: string): Promise<readonly Endpoint[]> {
    const host = domain === defaultDomain ? dockerHubHost : domain;
    const mirrors = domain === defaultDomain ? this.#mirrors : [];
    const mirrorEndpoints = await Promise.all(
      mirrors.map(async (origin) => ({
        origin,
        verifyTls: !(await this.isInsecure(new URL(origin).host)),
        mirror: true,
      })),
    );
    return [...mirrorEndpoints, ...(await this.#ownEndpoints(host))];
  }

  /** Whether the registry at "host" or "host:port" may be spoken to without proof of who it is. */
  async isInsecure(host: string): Promise<boolean> {
    if (!URL.canParse(`http://${host}`)) {
      throw new SwarmError(
        'invalid-argument',
        `${JSON.stringify(host)} is no address of a registry; give HOST or HOST:PORT`,
      );
    }
    const { hostname } = new URL(`http://${host}`);
    if (this.#hosts.has(host) || this.#hosts.has(hostname)) return true;
    const bare = hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(bare) > 0 ? [bare] : await this.#lookup(bare);
    return addresses.some((address) =>
      this.#networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'),
    );
  }

  async #ownEndpoints(host: string): Promise<readonly Endpoint[]> {
    const insecure = await this.isInsecure(host);
    const secure = { origin: `https://${host}`, verifyTls: !insecure, mirror: false };
    if (!insecure) return [secure];
    return [secure, { origin: `http://${host}`, verifyTls: false, mirror: false }];
  }
}

function addNetwork(list: BlockList, cidr: string): void {
  const [address = '', bits = ''] = cidr.split('/');
  const family = isIP(address);
  const prefix = /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (family === 0 || prefix < 0 || prefix > (family === 6 ? 128 : 32)) {
    throw new SwarmError(
      'invalid-argument',
      `the insecure registry ${JSON.stringify(cidr)} is neither HOST:PORT nor a network like ` +
        '10.0.0.0/8; correct it',
    );
  }
  list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
}

function mirrorOrigin(mirror: string): string {
  const url = URL.canParse(mirror) ? new URL(mirror) : undefined;
  const plain =
    url?.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  if (!plain || !['http:', 'https:'].includes(url.protocol)) {
    throw new SwarmError(
      'invalid-argument',
      `the registry mirror ${JSON.stringify(mirror)} is no URL like https://mirror.example:5000; ` +
        'give scheme, host and port alone',
    );
  }
  return url.origin;
}

/** A name without an address is not insecure; that it cannot be reached shows when it is asked. */
async function lookupAll(host: string): Promise<readonly string[]> {
  try {
    return (await systemLookup(host, { all: true })).map(({ address }) => address);
  } catch (thrown) {
    if (errnoOf(thrown) !== undefined) return [];
    throw thrown;
  }
}
