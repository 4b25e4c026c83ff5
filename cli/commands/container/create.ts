import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import {
  allCreateFlags,
  attachedStreams,
  attachTo,
  createContainer,
  draftOf,
} from '../../container/create.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: allCreateFlags,
  args: atLeast(1),
  passThrough: true,
  async run(context, [image = '', ...words], flags) {
    const draft = draftOf(context, image, words, flags);
    const streams = attachedStreams(flags, draft.config['OpenStdin'] === true);
    attachTo(draft, streams);
    context.out.line(await createContainer(context, connect(context), draft, flags));
  },
};
