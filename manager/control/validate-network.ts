/** What makes a network's spec a good one: Docker's rules, in Docker's words. */
import { SwarmError } from '../../lib/errors.ts';
import { isNodeLocal, type IpamConfig, type NetworkSpec } from '../../types/index.ts';
import {
  bitsOf,
  contains,
  formatSubnet,
  lastVni,
  parseAddress,
  parseSubnet,
  vniOption,
  type Subnet,
} from '../allocator/index.ts';
import { builtInNetworks } from '../store/view.ts';
import { validateName } from './validate-service.ts';

/** Of networks that end at each node, or lead to what the node is connected to. */
const nodeDrivers: ReadonlySet<string> = new Set(['bridge', 'macvlan', 'ipvlan']);

/** Room for the network's own address, the gateway, somebody, and the broadcast address. */
const minHostBits = 2;

/** The spec as it is stored: nothing left open that has a default. */
export function normalizeNetwork(spec: NetworkSpec): NetworkSpec {
  return { ...spec, driver: spec.driver === '' ? 'overlay' : spec.driver, scope: 'swarm' };
}

/** Throws for the first thing that is wrong, `unimplemented` for what this version cannot do. */
export function validateNetwork(spec: NetworkSpec): void {
  validateName(spec.name);
  refusePredefined(spec.name);
  refuseWithoutIpv4(spec);
  if (isNodeLocal(spec)) validateNodeLocal(spec);
  else validateOverlay(spec);
  if (spec.ingress === true && spec.attachable === true) {
    throw invalid('ingress network cannot be attachable');
  }
  if (spec.ingress === true && spec.internal === true) {
    throw invalid('ingress network cannot be internal: published ports lead into it from outside');
  }
  validateVni(spec.options?.[vniOption]);
  const driver = spec.ipam?.driver ?? '';
  if (driver !== '' && driver !== 'default') throw invalid(`invalid IPAM driver "${driver}"`);
  const families = new Set<number>();
  for (const config of spec.ipam?.configs ?? []) {
    const { family } = validateConfig(config, spec);
    if (families.has(family)) {
      throw invalid(`a network has one IPv${family} subnet: leave all but one out`);
    }
    families.add(family);
  }
}

function refusePredefined(name: string): void {
  if (builtInNetworks.has(name) || name === 'default') {
    throw new SwarmError(
      'permission-denied',
      `${name} is a pre-defined network and cannot be created`,
    );
  }
}

function refuseWithoutIpv4({ enableIpv4 }: NetworkSpec): void {
  if (enableIpv4 !== false) return;
  throw invalid('IPv4 cannot be disabled in a Swarm scoped network');
}

/** Each node makes it for itself: from what is said here, or from a configuration of its own. */
function validateNodeLocal(spec: NetworkSpec): void {
  if (spec.ingress === true) {
    throw unsupported('only overlay driver is currently supported for ingress network');
  }
  if (!nodeDrivers.has(spec.driver)) {
    throw unsupported(
      `networks with the driver "${spec.driver}" are not supported by this version; use overlay, ` +
        'macvlan, ipvlan or bridge',
    );
  }
  const configs = spec.ipam?.configs ?? [];
  const hasConfiguration = (spec.configFrom?.network ?? '') !== '';
  const ipamDriver = spec.ipam?.driver ?? '';
  const hasOwn =
    configs.length > 0 ||
    !['', 'default'].includes(ipamDriver) ||
    Object.keys(spec.options ?? {}).length > 0 ||
    spec.enableIpv6 === true;
  if (hasConfiguration && hasOwn) {
    throw new SwarmError(
      'permission-denied',
      'user specified configurations are not supported if the network depends on a configuration ' +
        'network',
    );
  }
  if (spec.driver !== 'bridge' && configs.length > 0) {
    throw invalid(
      'nodes that share a link would give the same addresses of one subnet: make a network with ' +
        '--config-only on each node, each with an --ip-range of its own, and name it with ' +
        '--config-from',
    );
  }
}

function validateOverlay(spec: NetworkSpec): void {
  if (spec.scope === 'local') throw invalid('an overlay network is of the scope swarm');
  if (spec.configOnly === true || (spec.configFrom?.network ?? '') !== '') {
    throw unsupported(
      'overlay networks have no configuration networks; give the options themselves',
    );
  }
}

function validateVni(text: string | undefined): void {
  if (text === undefined) return;
  const vni = Number(text);
  if (/^\d+$/.test(text) && vni >= 1 && vni <= lastVni) return;
  throw invalid(`invalid VXLAN id "${text}": give one number from 1 to ${lastVni}`);
}

function validateConfig(config: IpamConfig, spec: NetworkSpec): Subnet {
  const text = config.subnet ?? '';
  const subnet = parseSubnet(text);
  if (subnet === undefined) throw bad(`invalid subnet ${text}: invalid CIDR block notation`);
  if (subnet.family === 6 && spec.enableIpv6 !== true) return subnet;
  if (hasHostBits(text, subnet)) {
    throw bad(`invalid subnet ${text}: it should be ${formatSubnet(subnet)}`);
  }
  if (bitsOf(subnet.family) - subnet.prefix < minHostBits) {
    throw bad(`invalid subnet ${text}: it is too small for a gateway and a container`);
  }
  validateRange(config.ipRange ?? '', subnet, text);
  validateAddress(config.gateway ?? '', subnet, text, `gateway ${config.gateway}`);
  for (const [name, address] of Object.entries(config.auxiliaryAddresses ?? {})) {
    validateAddress(address, subnet, text, `auxiliary address ${name}`);
  }
  return subnet;
}

function validateRange(text: string, subnet: Subnet, parent: string): void {
  if (text === '') return;
  const range = parseSubnet(text);
  if (range === undefined) throw bad(`invalid ip-range ${text}: invalid CIDR block notation`);
  if (range.family !== subnet.family) {
    throw bad(`invalid ip-range ${text}: parent subnet is an IPv${subnet.family} block`);
  }
  if (range.prefix < subnet.prefix) {
    throw bad(`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${parent}`);
  }
  if (hasHostBits(text, range)) {
    throw bad(`invalid ip-range ${text}: it should be ${formatSubnet(range)}`);
  }
  if (!contains(subnet, { family: range.family, value: range.base })) {
    throw bad(`invalid ip-range ${text}: parent subnet ${parent} doesn't contain ip-range`);
  }
}

function validateAddress(text: string, subnet: Subnet, parent: string, what: string): void {
  if (text === '') return;
  const address = parseAddress(text);
  if (address === undefined) throw bad(`invalid ${what}: invalid address`);
  if (address.family !== subnet.family) {
    throw bad(`invalid ${what}: parent subnet is an IPv${subnet.family} block`);
  }
  if (contains(subnet, address)) return;
  throw bad(`invalid ${what}: parent subnet ${parent} doesn't contain this address`);
}

function hasHostBits(text: string, { base }: Subnet): boolean {
  return parseAddress(text.slice(0, text.indexOf('/')))?.value !== base;
}

function bad(message: string): SwarmError {
  return invalid(`invalid network config:\n${message}`);
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}

function unsupported(message: string): SwarmError {
  return new SwarmError('unimplemented', message);
}
