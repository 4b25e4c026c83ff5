import { connect } from '../../client/index.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { detachKeysFlag } from '../../container/detach-keys.ts';
import { launch } from '../../container/launch.ts';
import { checkTerminal } from '../../container/session.ts';
import { findTarget } from '../../container/target.ts';
import { eachContainer } from '../../container/verb.ts';

const attach = bool('attach', 'Attach STDOUT/STDERR and forward signals', { short: 'a' });
const interactive = bool('interactive', "Attach container's STDIN", { short: 'i' });

const flags = [attach, detachKeysFlag, interactive];
const each = eachContainer(flags, (client, path) => client.json('POST', `${path}/start`));

export const command: Command = {
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  flags,
  args: atLeast(1),
  async run(context, references, values) {
    const isInteractive = values.get(interactive) ?? false;
    if (!values.get(attach) && !isInteractive) return each.run(context, references, values);
    const [reference = '', ...others] = references;
    if (others.length > 0) {
      throw commandError('you cannot start and attach multiple containers at once');
    }
    const client = connect(context);
    const { container } = await findTarget(client, reference, 'container');
    const { Tty: tty, OpenStdin } = container.Config;
    const stdin = isInteractive && OpenStdin;
    checkTerminal(context, { tty, stdin });
    await launch(context, client, {
      id: container.Id,
      tty,
      streams: [...(stdin ? (['stdin'] as const) : []), 'stdout', 'stderr'],
      autoRemove: container.HostConfig.AutoRemove,
      sigProxy: true,
      detachKeys: values.get(detachKeysFlag),
    });
  },
};
