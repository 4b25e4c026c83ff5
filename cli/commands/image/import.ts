import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import { list, text } from '../../command/flags.ts';
import { openInput } from '../../image/input.ts';
import { showProgress } from '../../image/progress.ts';
import { parseReference } from '../../image/reference.ts';

const change = list('change', 'Apply Dockerfile instruction to the created image', { short: 'c' });
const message = text('message', 'Set commit message for imported image', { short: 'm' });
const platform = text('platform', 'Set platform if server is multi-platform capable');

export const command: Command = {
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  flags: [change, message, platform],
  args: between(1, 2),
  async run(context, [source = '', name = ''], flags) {
    const isUrl = /^https?:\/\//.test(source);
    const { repository, tag } = parseReference(name);
    const response = await connect(context).stream('POST', '/images/create', {
      query: {
        fromSrc: isUrl ? source : '-',
        repo: repository === '' ? undefined : repository,
        tag,
        message: flags.get(message),
        changes: flags.get(change),
        platform: flags.get(platform),
      },
      ...(isUrl ? {} : { upload: await openInput(context, source) }),
    });
    await showProgress(context.out, response);
  },
};
