import { humanDuration } from '../../../lib/units.ts';
import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { formatFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList } from '../../format/list.ts';
import { ellipsis, humanSize } from '../../format/units.ts';
import { platformFlag, platformJson } from '../../image/platform.ts';

const human = bool('human', 'Print sizes and dates in human readable format', {
  short: 'H',
  shownDefault: 'true',
});
const quiet = bool('quiet', 'Only show image IDs', { short: 'q' });

const platform = platformFlag('Show history for the given platform');

interface Step {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
  readonly Comment: string;
}

const commandWidth = 45;

export const command: Command = {
  usage: '[OPTIONS] IMAGE',
  flags: [formatFlag, human, noTruncFlag, platform, quiet],
  args: exactly(1),
  async run(context, [image = ''], flags) {
    const query = { platform: platformJson(flags.get(platform)) };
    const path = `/images/${encodeURI(image)}/history`;
    const steps = await connect(context).get<Step[]>(path, query);
    const isWhole = flags.get(noTruncFlag) ?? false;
    const isHuman = flags.get(human) ?? true;
    const nowMs = context.clock.nowMs();
    const id = ({ Id }: Step) => (isWhole ? Id : Id.replace(/^sha256:/, '').slice(0, 12));
    const at = ({ Created }: Step) => `${new Date(Created * 1000).toISOString().slice(0, 19)}Z`;
    const since = (step: Step) =>
      step.Created <= 0 ? 'N/A' : `${humanDuration(nowMs - step.Created * 1000)} ago`;
    const by = ({ CreatedBy }: Step) => CreatedBy.replaceAll('\t', ' ');
    await printList<Step>(context.out, {
      rows: steps,
      columns: {
        ID: { header: 'IMAGE', value: id },
        CreatedSince: { header: 'CREATED', value: (step) => (isHuman ? since(step) : at(step)) },
        CreatedAt: { header: 'CREATED AT', value: at },
        CreatedBy: {
          header: 'CREATED BY',
          value: (step) => (isWhole ? by(step) : ellipsis(by(step), commandWidth)),
        },
        Size: {
          header: 'SIZE',
          value: ({ Size }) => (isHuman ? humanSize(Size, 3) : String(Size)),
        },
        Comment: { header: 'COMMENT', value: ({ Comment }) => Comment },
      },
      table: ['ID', 'CreatedSince', 'CreatedBy', 'Size', 'Comment'],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? id : undefined,
    });
  },
};
