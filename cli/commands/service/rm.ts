import { connect } from '../../client/index.ts';
import { atLeast, forEachOperand, type Command } from '../../command/command.ts';

export const command: Command = {
  usage: 'SERVICE [SERVICE...]',
  flags: [],
  args: atLeast(1),
  async run(context, references) {
    const client = connect(context);
    await forEachOperand(references, async (reference) => {
      await client.json('DELETE', `/services/${encodeURIComponent(reference)}`);
      context.out.line(reference);
    });
  },
};
