import { bool } from '../../command/flags.ts';
import { eachContainer } from '../../container/verb.ts';

const force = bool('force', 'Force the removal of a running container (uses SIGKILL)', {
  short: 'f',
});
const link = bool('link', 'Remove the specified link', { short: 'l' });
const volumes = bool('volumes', 'Remove anonymous volumes associated with the container', {
  short: 'v',
});

export const command = eachContainer([force, link, volumes], (client, path, flags) =>
  client.json('DELETE', path, {
    query: {
      force: flags.get(force) ? 1 : undefined,
      link: flags.get(link) ? 1 : undefined,
      v: flags.get(volumes) ? 1 : undefined,
    },
  }),
);
