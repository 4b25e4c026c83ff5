import { messageOf } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool, list, text, type FlagValues } from '../../command/flags.ts';
import { ipamConfigs } from '../../network/ipam.ts';
import { recordOf, words } from '../../network/options.ts';

const map = { word: 'map', shownDefault: 'map[]' };
const attachable = bool('attachable', 'Enable manual container attachment');
const auxAddress = list(
  'aux-address',
  'Auxiliary IPv4 or IPv6 addresses used by Network driver',
  map,
);
const configFrom = text('config-from', 'The network from which to copy the configuration');
const configOnly = bool('config-only', 'Create a configuration only network');
const driver = text('driver', 'Driver to manage the Network', {
  short: 'd',
  shownDefault: '"bridge"',
});
const gateway = words('gateway', 'IPv4 or IPv6 Gateway for the master subnet');
const ingress = bool('ingress', 'Create swarm routing-mesh network');
const internal = bool('internal', 'Restrict external access to the network');
const ipRange = words('ip-range', 'Allocate container ip from a sub-range');
const ipamDriver = text('ipam-driver', 'IP Address Management Driver', {
  shownDefault: '"default"',
});
const ipamOpt = list('ipam-opt', 'Set IPAM driver specific options', map);
const ipv4 = bool('ipv4', 'Enable or disable IPv4 address assignment', { shownDefault: 'true' });
const ipv6 = bool('ipv6', 'Enable or disable IPv6 address assignment');
const label = list('label', 'Set metadata on a network');
const opt = list('opt', 'Set driver specific options', { ...map, short: 'o' });
const scope = text('scope', "Control the network's scope");
const subnet = words('subnet', 'Subnet in CIDR format that represents a network segment');

export const command: Command = {
  usage: '[OPTIONS] NETWORK',
  flags: [
    attachable,
    auxAddress,
    configFrom,
    configOnly,
    driver,
    gateway,
    ingress,
    internal,
    ipRange,
    ipamDriver,
    ipamOpt,
    ipv4,
    ipv6,
    label,
    opt,
    scope,
    subnet,
  ],
  args: exactly(1),
  async run(context, [name = ''], flags) {
    const client = connect(context);
    const created = await client.json<{ Id: string; Warning?: string }>(
      'POST',
      '/networks/create',
      { body: requestBody(name, flags) },
    );
    if (created.Warning) context.err.line(`WARNING: ${created.Warning}`);
    context.out.line(created.Id);
  },
};

function requestBody(name: string, flags: FlagValues): object {
  const from = flags.get(configFrom);
  return {
    Name: name,
    CheckDuplicate: true,
    Driver: flags.get(driver) ?? 'bridge',
    Scope: flags.get(scope) ?? '',
    EnableIPv4: flags.get(ipv4),
    EnableIPv6: flags.get(ipv6),
    IPAM: {
      Driver: flags.get(ipamDriver) ?? 'default',
      Options: recordOf(flags.get(ipamOpt)),
      Config: configs(flags),
    },
    Internal: flags.get(internal) ?? false,
    Attachable: flags.get(attachable) ?? false,
    Ingress: flags.get(ingress) ?? false,
    ConfigOnly: flags.get(configOnly) ?? false,
    ...(from === undefined ? {} : { ConfigFrom: { Network: from } }),
    Options: recordOf(flags.get(opt)),
    Labels: recordOf(flags.get(label)),
  };
}

function configs(flags: FlagValues) {
  try {
    return ipamConfigs({
      subnets: flags.get(subnet) ?? [],
      ranges: flags.get(ipRange) ?? [],
      gateways: flags.get(gateway) ?? [],
      auxiliary: recordOf(flags.get(auxAddress)),
    });
  } catch (error) {
    throw commandError(messageOf(error));
  }
}
