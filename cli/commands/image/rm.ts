import { SwarmError } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import { atLeast, forEachOperand, type Command } from '../../command/command.ts';
import { silentExit } from '../../command/errors.ts';
import { bool, list } from '../../command/flags.ts';
import { platformJson } from '../../image/platform.ts';

const force = bool('force', 'Force removal of the image', { short: 'f' });
const noPrune = bool('no-prune', 'Do not delete untagged parents');

const platform = list('platform', 'Remove only the given platform variant');

interface Removed {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  flags: [force, noPrune, platform],
  args: atLeast(1),
  async run(context, references, flags) {
    const client = connect(context);
    const platforms = flags.get(platform)?.map((one) => platformJson(one) ?? '');
    try {
      await forEachOperand(references, async (reference) => {
        const removed = await client.json<readonly Removed[] | null>(
          'DELETE',
          `/images/${encodeURI(reference)}`,
          {
            query: {
              force: flags.get(force) ? 1 : undefined,
              noprune: flags.get(noPrune) ? 1 : undefined,
              platforms,
            },
          },
        );
        for (const { Deleted, Untagged } of removed ?? []) {
          context.out.line(Deleted === undefined ? `Untagged: ${Untagged}` : `Deleted: ${Deleted}`);
        }
      });
    } catch (error) {
      // With --force, what is not there is as good as removed; the words are shown all the same.
      context.err.line(SwarmError.from(error).message);
      const missing = /No such image/i.test(SwarmError.from(error).message);
      if (!flags.get(force) || !missing) throw silentExit(1);
    }
  },
};
