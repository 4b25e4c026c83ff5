/** --subnet, --ip-range, --gateway and --aux-address, put together as Docker's client does. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

export interface IpamInput {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  /** Name → address. */
  readonly auxiliary: Readonly<Record<string, string>>;
}

interface IpamConfigJson {
  Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

/** Each range, gateway and address goes to its subnet. Throws where it lies in none. */
export function ipamConfigs(input: IpamInput): IpamConfigJson[] {
  const { subnets, ranges, gateways, auxiliary } = input;
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new Error('every ip-range or gateway must have a corresponding subnet');
  }
  const configs = subnets.map((subnet, index): IpamConfigJson => {
    for (const before of subnets.slice(0, index)) {
      if (contains(before, addressOf(subnet)) || contains(subnet, addressOf(before))) {
        throw new Error('multiple overlapping subnet configuration is not supported');
      }
    }
    return { Subnet: subnet };
  });
  for (const range of ranges) {
    const config = configFor(configs, addressOf(range), `range ${range}`);
    if (config.IPRange !== undefined) {
      throw new Error(
        `cannot configure multiple ranges (${range}, ${config.IPRange}) on the same subnet ` +
          `(${config.Subnet})`,
      );
    }
    config.IPRange = range;
  }
  for (const gateway of gateways) {
    const config = configFor(configs, gateway, `gateway ${gateway}`);
    if (config.Gateway !== undefined) {
      throw new Error(
        `cannot configure multiple gateways (${gateway}, ${config.Gateway}) for the same subnet ` +
          `(${config.Subnet})`,
      );
    }
    config.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(auxiliary)) {
    const config = configFor(configs, address, `aux-address ${address}`);
    (config.AuxiliaryAddresses ??= {})[name] = address;
  }
  return configs;
}

function configFor(
  configs: readonly IpamConfigJson[],
  address: string,
  what: string,
): IpamConfigJson {
  const config = configs.find(({ Subnet }) => contains(Subnet, address));
  if (config === undefined) throw new Error(`no matching subnet for ${what}`);
  return config;
}

function addressOf(subnet: string): string {
  return subnet.split('/')[0] ?? '';
}

function contains(subnet: string, address: string): boolean {
  const [base = '', prefixText = ''] = subnet.split('/');
  const family = isIPv4(base) ? 'ipv4' : 'ipv6';
  const most = family === 'ipv4' ? 32 : 128;
  const isSubnet = (isIPv4(base) || isIPv6(base)) && /^\d+$/.test(prefixText);
  if (!isSubnet || Number(prefixText) > most) throw new Error(`invalid CIDR address: ${subnet}`);
  if (family === 'ipv4' ? !isIPv4(address) : !isIPv6(address)) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(prefixText), family);
  return list.check(address, family);
}
