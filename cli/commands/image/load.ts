import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { bool, text } from '../../command/flags.ts';
import { openInput } from '../../image/input.ts';
import { showProgress } from '../../image/progress.ts';

const input = text('input', 'Read from tar archive file, instead of STDIN', { short: 'i' });
const quiet = bool('quiet', 'Suppress the load output', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [input, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const upload = await openInput(context, flags.get(input));
    const response = await connect(context).stream('POST', '/images/load', {
      query: { quiet: flags.get(quiet) || !context.out.isTerminal ? 1 : 0 },
      upload,
    });
    await showProgress(context.out, response);
  },
};
