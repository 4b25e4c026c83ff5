import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { integer, list, text } from '../../command/flags.ts';
import { recordOf, words } from '../../network/options.ts';

const alias = words('alias', 'Add network-scoped alias for the container');
const driverOpt = words('driver-opt', 'driver options for the network');
const gwPriority = integer(
  'gw-priority',
  'Highest gw-priority provides the default gateway. Accepts positive and negative values.',
);
const ip = text('ip', 'IPv4 address (e.g., "172.30.100.104")');
const ip6 = text('ip6', 'IPv6 address (e.g., "2001:db8::33")');
const link = list('link', 'Add link to another container');
const linkLocalIp = words('link-local-ip', 'Add a link-local address for the container');

export const command: Command = {
  usage: '[OPTIONS] NETWORK CONTAINER',
  flags: [alias, driverOpt, gwPriority, ip, ip6, link, linkLocalIp],
  args: exactly(2),
  async run(context, [network = '', container = ''], flags) {
    await connect(context).json('POST', `/networks/${encodeURIComponent(network)}/connect`, {
      body: {
        Container: container,
        EndpointConfig: {
          IPAMConfig: {
            IPv4Address: flags.get(ip),
            IPv6Address: flags.get(ip6),
            LinkLocalIPs: flags.get(linkLocalIp),
          },
          Links: flags.get(link),
          Aliases: flags.get(alias),
          DriverOpts: recordOf(flags.get(driverOpt)),
          GwPriority: flags.get(gwPriority),
        },
      },
    });
  },
};
