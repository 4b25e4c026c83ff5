/** The networks that every node has. Others do not exist yet. */
import { SwarmError } from '../../lib/errors.ts';
import type { JsonObject } from '../convert/json.ts';
import { zeroTime } from '../convert/time.ts';
import { Filters } from '../filters.ts';
import type { Route } from '../router.ts';

const builtIn = [
  { name: 'bridge', driver: 'bridge' },
  { name: 'host', driver: 'host' },
  { name: 'none', driver: 'null' },
];
const filterKeys = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];

export function networkRoutes(): Route[] {
  return [
    {
      method: 'GET',
      path: '/networks',
      handle(exchange) {
        const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
        const found = builtIn.filter(
          ({ name, driver }) =>
            filters.any('name', (part) => name.includes(part)) &&
            filters.any('id', (part) => name.startsWith(part)) &&
            filters.any('driver', (wanted) => driver === wanted) &&
            filters.any('type', (type) => type === 'builtin') &&
            filters.any('scope', (scope) => scope === 'local') &&
            filters.labels('label', {}),
        );
        exchange.json(found.map(({ name, driver }) => networkJson(name, driver, 'local')));
      },
    },
    {
      method: 'GET',
      path: '/networks/{id}',
      handle(exchange) {
        const id = exchange.param('id');
        const network = builtIn.find(({ name }) => name === id);
        if (network === undefined) {
          throw new SwarmError('not-found', `network ${id} not found`);
        }
        // A service may be on the host's network on every node, so the swarm knows it too.
        const scope = exchange.query.get('scope') === 'swarm' ? 'swarm' : 'local';
        exchange.json(networkJson(network.name, network.driver, scope));
      },
    },
  ];
}

/** Its name is its id: the same on every node, and what a service's spec then holds. */
function networkJson(name: string, driver: string, scope: string): JsonObject {
  return {
    Name: name,
    Id: name,
    Created: zeroTime,
    Scope: scope,
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: {},
  };
}
