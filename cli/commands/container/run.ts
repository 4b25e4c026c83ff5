import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { usageError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { sigProxy } from '../../container/attach.ts';
import {
  allCreateFlags,
  attachedStreams,
  attachTo,
  createContainer,
  draftOf,
  isAttachGiven,
} from '../../container/create.ts';
import { detachKeysFlag } from '../../container/detach-keys.ts';
import { launch, orDaemonFailed } from '../../container/launch.ts';
import { checkTerminal } from '../../container/session.ts';

const detach = bool('detach', 'Run container in background and print container ID', { short: 'd' });

export const command: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  flags: (context) => [...allCreateFlags(context), detach, detachKeysFlag, sigProxy],
  args: atLeast(1),
  passThrough: true,
  async run(context, [image = '', ...words], flags) {
    const client = connect(context);
    const draft = draftOf(context, image, words, flags);
    const isDetached = flags.get(detach) ?? false;
    if (isDetached && isAttachGiven(flags)) throw usageError('Conflicting options: -a and -d');
    const tty = draft.config['Tty'] === true;
    const streams = isDetached ? [] : attachedStreams(flags, draft.config['OpenStdin'] === true);
    checkTerminal(context, { tty, stdin: streams.includes('stdin') });
    attachTo(draft, streams);
    // Only a client that is there can end the container's input.
    if (isDetached) draft.config['StdinOnce'] = false;
    const id = await orDaemonFailed(createContainer(context, client, draft, flags));
    if (isDetached) {
      await orDaemonFailed(client.json('POST', `/containers/${id}/start`));
      context.out.line(id);
      return;
    }
    await launch(context, client, {
      id,
      tty,
      streams,
      autoRemove: draft.host['AutoRemove'] === true,
      sigProxy: flags.get(sigProxy) ?? true,
      detachKeys: flags.get(detachKeysFlag),
    });
  },
};
