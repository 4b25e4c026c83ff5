import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { parseReference } from '../../image/reference.ts';

export const command: Command = {
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  flags: [],
  args: exactly(2),
  async run(context, [source = '', target = '']) {
    const { repository, tag } = parseReference(target);
    await connect(context).json('POST', `/images/${encodeURI(source)}/tag`, {
      query: { repo: repository, tag: tag ?? 'latest' },
    });
  },
};
