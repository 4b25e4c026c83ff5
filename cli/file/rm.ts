import { SwarmError } from '../../lib/errors.ts';
import type { FileKind } from '../../types/index.ts';
import { connect } from '../client/index.ts';
import { atLeast, type Command } from '../command/command.ts';
import { silentExit } from '../command/errors.ts';

export function rmCommand(kind: FileKind): Command {
  const noun = kind.toUpperCase();
  return {
    usage: `${noun} [${noun}...]`,
    flags: [],
    args: atLeast(1),
    async run(context, references) {
      const client = connect(context);
      let failed = false;
      for (const reference of references) {
        try {
          await client.json('DELETE', `/${kind}s/${encodeURIComponent(reference)}`);
          context.out.line(reference);
        } catch (error) {
          context.err.line(SwarmError.from(error).message);
          failed = true;
        }
      }
      if (failed) throw silentExit(1);
    },
  };
}
