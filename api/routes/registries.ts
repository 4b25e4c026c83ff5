/** The swarm's logins at registries. Docker has none: its clients send credentials along. */
import { SwarmError } from '../../lib/errors.ts';
import { required, string, struct } from '../../types/index.ts';
import { timeText } from '../convert/time.ts';
import { findCluster } from '../lookup.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const login = struct({
  registry: required('ServerAddress', string, ''),
  username: required('Username', string, ''),
  password: required('Password', string, ''),
  identityToken: required('IdentityToken', string, ''),
});

export function registryRoutes({ backend }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/registries',
      async handle(exchange) {
        const { registryLogins = [] } = findCluster(await backend.manager().read());
        exchange.json(
          registryLogins.map(({ registry, username, updatedAtMs }) => ({
            ServerAddress: registry,
            Username: username,
            UpdatedAt: timeText(updatedAtMs),
          })),
        );
      },
    },
    {
      method: 'POST',
      path: '/registries',
      async handle(exchange) {
        const { registry, username, password, identityToken } = await exchange.body(login);
        if (identityToken === '' && (username === '' || password === '')) {
          throw new SwarmError(
            'invalid-argument',
            'a login needs a username and a password, or an identity token',
          );
        }
        const document = {
          serveraddress: registry,
          ...(identityToken === '' ? { username, password } : { identitytoken: identityToken }),
        };
        const auth = Buffer.from(JSON.stringify(document)).toString('base64url');
        await backend.manager().control.logIn({ registry, username, auth });
        exchange.empty(204);
      },
    },
    {
      method: 'DELETE',
      path: '/registries/{name...}',
      async handle(exchange) {
        await backend.manager().control.logOut({ registry: exchange.param('name') });
        exchange.empty(204);
      },
    },
  ];
}
