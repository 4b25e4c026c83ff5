import { SwarmError } from '../../../lib/errors.ts';
import { connect, type Client } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { inspectFormatFlag } from '../../command/common-flags.ts';
import { bool, oneOf } from '../../command/flags.ts';
import { printInspected } from '../../format/inspect.ts';

const size = bool('size', 'Display total file sizes if the type is container', { short: 's' });

/** Where each kind is, in the order in which a name is tried. */
const paths = {
  container: (name: string) => `/containers/${name}/json`,
  image: (name: string) => `/images/${name}/json`,
  network: (name: string) => `/networks/${name}`,
  volume: (name: string) => `/volumes/${name}`,
  service: (name: string) => `/services/${name}`,
  task: (name: string) => `/tasks/${name}`,
  node: (name: string) => `/nodes/${name}`,
  secret: (name: string) => `/secrets/${name}`,
  config: (name: string) => `/configs/${name}`,
} as const;
const kinds = Object.keys(paths) as (keyof typeof paths)[];
const type = oneOf('type', 'Only inspect objects of the given type', kinds);
/** Fields that some kinds of objects leave out of their JSON. */
const optional = new Set([
  'Health',
  'SizeRw',
  'SizeRootFs',
  'Healthcheck',
  'Shell',
  'Init',
  'Slot',
]);

export const command: Command = {
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  flags: [inspectFormatFlag, size, type],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const wanted = flags.get(type);
    const query = { size: flags.get(size) ? 1 : undefined };
    const get = (reference: string) =>
      find(client, reference, wanted === undefined ? kinds : [wanted], query);
    await printInspected(context.out, references, get, {
      format: flags.get(inspectFormatFlag),
      optional,
    });
  },
};

/** The first kind that has it. Without a swarm there is nothing of the swarm's to be found. */
async function find(
  client: Client,
  reference: string,
  tried: readonly (keyof typeof paths)[],
  query: { readonly size: number | undefined },
): Promise<unknown> {
  for (const kind of tried) {
    try {
      const ofContainer = kind === 'container' ? query : {};
      return await client.get(paths[kind](encodeURIComponent(reference)), ofContainer);
    } catch (error) {
      const { code } = SwarmError.from(error);
      if (code !== 'not-found' && code !== 'unavailable') throw error;
    }
  }
  const [only = 'object'] = tried.length === 1 ? tried : [];
  throw new SwarmError('not-found', `Error: No such ${only}: ${reference}`);
}
