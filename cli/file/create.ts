import type { FileKind } from '../../types/index.ts';
import { connect } from '../client/index.ts';
import { between, exactly, type Command } from '../command/command.ts';
import { list, text } from '../command/flags.ts';
import { recordOf } from '../network/options.ts';
import { readContent } from './content.ts';

const templateDriver = text('template-driver', 'Template driver');
const driver = text('driver', 'Secret driver', { short: 'd' });

export function createCommand(kind: FileKind): Command {
  const isSecret = kind === 'secret';
  const label = list('label', isSecret ? 'Secret labels' : 'Config labels', { short: 'l' });
  return {
    usage: isSecret ? '[OPTIONS] SECRET [file|-]' : '[OPTIONS] CONFIG file|-',
    flags: [...(isSecret ? [driver] : []), label, templateDriver],
    args: isSecret ? between(1, 2) : exactly(2),
    async run(context, [name = '', path], flags) {
      const template = flags.get(templateDriver);
      const driverName = flags.get(driver);
      const { ID } = await connect(context).json<{ ID: string }>('POST', `/${kind}s/create`, {
        body: {
          Name: name,
          Labels: recordOf(flags.get(label)),
          ...(path === undefined ? {} : { Data: await readContent(context, path) }),
          ...(driverName === undefined ? {} : { Driver: { Name: driverName } }),
          ...(template === undefined ? {} : { Templating: { Name: template } }),
        },
      });
      context.out.line(ID);
    },
  };
}
