import { connect } from '../../client/index.ts';
import { between, type Command } from '../../command/command.ts';
import { bool, list, text } from '../../command/flags.ts';
import { parseReference } from '../../image/reference.ts';

const author = text('author', 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', {
  short: 'a',
});
const change = list('change', 'Apply Dockerfile instruction to the created image', { short: 'c' });
const message = text('message', 'Commit message', { short: 'm' });
const pause = bool('pause', 'Pause container during commit', { short: 'p', shownDefault: 'true' });

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  flags: [author, change, message, pause],
  args: between(1, 2),
  async run(context, [container = '', name = ''], flags) {
    const { repository, tag } = parseReference(name);
    const { Id: id } = await connect(context).json<{ Id: string }>('POST', '/commit', {
      query: {
        container,
        repo: repository === '' ? undefined : repository,
        tag,
        author: flags.get(author),
        comment: flags.get(message),
        changes: flags.get(change),
        pause: (flags.get(pause) ?? true) ? 1 : 0,
      },
    });
    context.out.line(id);
  },
};
