/**
 * What a container is told about a name: a question, who asks, and the tables give an answer, or
 * none where the name is not the swarm's. Synchronous and without I/O.
 */
import type { Answer as DnsRecord } from 'dns-packet';
import type { Random } from '../../../lib/random.ts';
import type { AssignedEndpoint, AssignedNetwork } from '../../../types/index.ts';
import { hostOf, isIpv6, reverseKey, subnetHolds } from './addresses.ts';
import type { Named, NameIndex } from './name-index.ts';

export interface Question {
  /** As asked: in any case, with or without a dot at its end. */
  readonly name: string;
  /** `A`, `PTR`, …; `UNKNOWN_65` for what has no name. */
  readonly type: string;
}

export interface Answer {
  /** The name is one of the swarm's, though there may be nothing of the type that was asked for. */
  readonly isKnown: boolean;
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

export interface Surroundings {
  readonly names: NameIndex;
  /** Networks of the container that asks, in its order; without the routing mesh's. */
  readonly networks: readonly AssignedNetwork[];
  /** Of the container that asks, by network: names of others, by what it calls them. */
  readonly links: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly random: Random;
}

/** Seconds. An endpoint may go at any moment; a virtual address stays as long as its service. */
const ttl = { endpoint: 0, virtualIp: 1 } as const;
const noData: Answer = { isKnown: true, answers: [], additionals: [] };
const noSuchName: Answer = { isKnown: false, answers: [], additionals: [] };

/** A name on one of the networks of the container that asks. */
interface Found {
  readonly network: AssignedNetwork;
  readonly named: Named;
}

/** Undefined: the question is not for the swarm. */
export function answerQuestion(question: Question, around: Surroundings): Answer | undefined {
  const name = question.name.toLowerCase().replace(/\.$/, '');
  switch (question.type) {
    case 'PTR':
      return answerPtr(question.name, name, around) ?? answerOther(name, around);
    case 'SRV':
      return answerSrv(question.name, name, around) ?? answerOther(name, around);
    case 'A':
      return answerAddress(question.name, name, around, (address) => !isIpv6(address));
    case 'AAAA':
      return answerAddress(question.name, name, around, isIpv6);
    case 'ANY':
      return answerAddress(question.name, name, around, () => true);
    default:
      return answerOther(name, around);
  }
}

/** Nothing of this type is known of the swarm's names, and nobody else is asked about them. */
function answerOther(name: string, around: Surroundings): Answer | undefined {
  return find(name, around).length > 0 ? noData : undefined;
}

/** The first network that has an address of the family answers, as in Docker. */
function answerAddress(
  asked: string,
  name: string,
  around: Surroundings,
  isWanted: (address: string) => boolean,
): Answer | undefined {
  const found = find(name, around);
  if (found.length === 0) return undefined;
  for (const { named } of found) {
    const virtual = named.virtualIps.filter(isWanted);
    const real = named.endpoints.flatMap(({ addresses }) => addresses.map(hostOf).filter(isWanted));
    if (virtual.length + real.length === 0) continue;
    const records = [
      ...virtual.map((address) => addressRecord(asked, address, ttl.virtualIp)),
      ...real.map((address) => addressRecord(asked, address, ttl.endpoint)),
    ];
    return { ...noData, answers: shuffled(records, around.random) };
  }
  return noData;
}

function answerPtr(asked: string, name: string, around: Surroundings): Answer | undefined {
  const key = reverseKey(name);
  if (key === undefined) return undefined;
  const networks = around.networks.filter(({ subnets }) =>
    subnets.some(({ subnet }) => subnetHolds(subnet, key)),
  );
  if (networks.length === 0) return undefined;
  for (const network of networks) {
    const holder = around.names.nameOf(network.id, key);
    if (holder === undefined) continue;
    const data = `${holder}.${network.name}`;
    return { ...noData, answers: [{ type: 'PTR', name: asked, ttl: ttl.endpoint, data }] };
  }
  return noSuchName;
}

/** `_80._tcp.web`, or by the name of a published port: every endpoint with this port. */
function answerSrv(asked: string, name: string, around: Surroundings): Answer | undefined {
  const [, portName = '', protocol = '', owner = ''] =
    /^_([a-z0-9-]+)\._(tcp|udp|sctp)\.(.+)$/.exec(name) ?? [];
  if (owner === '') return undefined;
  const found = find(owner, around);
  if (found.length === 0) return undefined;
  for (const { network, named } of found) {
    const port = portOf(named, portName, protocol);
    const endpoints = port === undefined ? [] : serving(around.names, network, named);
    if (port === undefined || endpoints.length === 0) continue;
    const targets = endpoints.map((endpoint) => ({
      target: `${endpoint.names[0] ?? endpoint.taskId}.${network.name}`,
      addresses: endpoint.addresses.map(hostOf),
    }));
    const answers = targets.map(({ target }) => srvRecord(asked, target, port));
    const additionals = targets.flatMap(({ target, addresses }) =>
      addresses.map((address) => addressRecord(target, address, ttl.endpoint)),
    );
    return { isKnown: true, answers: shuffled(answers, around.random), additionals };
  }
  return noData;
}

/** Behind a virtual address there are endpoints all the same, and SRV names each. */
function serving(
  names: NameIndex,
  network: AssignedNetwork,
  named: Named,
): readonly AssignedEndpoint[] {
  if (named.virtualIps.length === 0) return named.endpoints;
  const behind = named.services.flatMap(
    (service) =>
      names.find(network.id, `tasks.${service.names[0]?.toLowerCase()}`)?.endpoints ?? [],
  );
  return [...new Set([...named.endpoints, ...behind])];
}

function portOf(named: Named, portName: string, protocol: string): number | undefined {
  if (/^\d{1,5}$/.test(portName)) {
    const port = Number(portName);
    return port > 0 && port < 65_536 ? port : undefined;
  }
  return named.services
    .flatMap(({ ports }) => ports)
    .find((port) => port.name?.toLowerCase() === portName && port.protocol === protocol)
    ?.targetPort;
}

/**
 * `web` on each network in turn, or `web.backend` on the network `backend`. Links of the container
 * come first, and stand before others' names that are the same.
 */
function find(name: string, around: Surroundings): readonly Found[] {
  const { networks, names, links } = around;
  const linked: Found[] = [];
  const others: Found[] = [];
  for (const network of networks) {
    const suffix = `.${network.name.toLowerCase()}`;
    const bare = name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
    const own = links.get(network.id) ?? {};
    const alias = [name, bare].find((one) => one !== undefined && Object.hasOwn(own, one));
    const isLinked = alias !== undefined;
    const named = isLinked
      ? names.find(network.id, own[alias] ?? '')
      : (names.find(network.id, name) ??
        (bare === undefined ? undefined : names.find(network.id, bare)));
    if (named !== undefined) (isLinked ? linked : others).push({ network, named });
  }
  return [...linked, ...others];
}

function addressRecord(name: string, address: string, ttlSeconds: number): DnsRecord {
  return { type: isIpv6(address) ? 'AAAA' : 'A', name, ttl: ttlSeconds, data: address };
}

function srvRecord(name: string, target: string, port: number): DnsRecord {
  return { type: 'SRV', name, ttl: ttl.endpoint, data: { port, target, priority: 0, weight: 0 } };
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = random.integer(last + 1);
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}
