import { connect } from '../../client/index.ts';
import { atLeast, forEachOperand, type Command } from '../../command/command.ts';
import { containerPath } from '../../container/verb.ts';

export const command: Command = {
  usage: 'CONTAINER [CONTAINER...]',
  flags: [],
  args: atLeast(1),
  async run(context, references) {
    const client = connect(context);
    await forEachOperand(references, async (reference) => {
      const path = `${containerPath(reference)}/wait`;
      const { StatusCode } = await client.json<{ StatusCode: number }>('POST', path);
      context.out.line(String(StatusCode));
    });
  },
};
