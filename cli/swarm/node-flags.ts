/** The flags that say how this host shows itself to the swarm, shared by `init` and `join`. */
import { oneOf, text } from '../command/flags.ts';

export const nodeFlags = {
  listenAddr: text('listen-addr', 'Listen address (format: "<ip|interface>[:port]")', {
    word: 'node-addr',
    shownDefault: '0.0.0.0:2377',
  }),
  advertiseAddr: text('advertise-addr', 'Advertised address (format: "<ip|interface>[:port]")'),
  dataPathAddr: text(
    'data-path-addr',
    'Address or interface to use for data path traffic (format: "<ip|interface>")',
  ),
  availability: oneOf(
    'availability',
    'Availability of the node ("active", "pause", "drain")',
    ['active', 'pause', 'drain'],
    { shownDefault: '"active"' },
  ),
};
