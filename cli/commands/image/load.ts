import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { bool, text } from '../../command/flags.ts';
import { openInput } from '../../image/input.ts';
import { platformFlag, platformJson } from '../../image/platform.ts';
import { showProgress } from '../../image/progress.ts';

const input = text('input', 'Read from tar archive file, instead of STDIN', { short: 'i' });
const quiet = bool('quiet', 'Suppress the load output', { short: 'q' });

const platform = platformFlag('Load only the given platform variant');

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [input, platform, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const upload = await openInput(context, flags.get(input));
    const wanted = platformJson(flags.get(platform));
    const response = await connect(context).stream('POST', '/images/load', {
      query: { quiet: flags.get(quiet) || !context.out.isTerminal ? 1 : 0, platform: wanted },
      upload,
    });
    await showProgress(context.out, response);
  },
};
