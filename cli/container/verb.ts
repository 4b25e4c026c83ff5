/** Verbs that do one thing to each container that is named, and print its name. */
import { SwarmError } from '../../lib/errors.ts';
import { connect, type Client } from '../client/index.ts';
import { atLeast, type Command } from '../command/command.ts';
import { silentExit } from '../command/errors.ts';
import type { Flag, FlagValues } from '../command/flags.ts';

/** As Docker's: failures are told one by one, and the command fails at the end. */
export function eachContainer(
  flags: readonly Flag<unknown>[],
  act: (client: Client, path: string, flags: FlagValues) => Promise<void>,
): Command {
  return {
    usage: '[OPTIONS] CONTAINER [CONTAINER...]',
    flags,
    args: atLeast(1),
    async run(context, references, values) {
      const client = connect(context);
      let failed = false;
      for (const reference of references) {
        try {
          await act(client, containerPath(reference), values);
          context.out.line(reference);
        } catch (error) {
          failed = true;
          context.err.line(SwarmError.from(error).message);
        }
      }
      if (failed) throw silentExit(1);
    },
  };
}

export function containerPath(reference: string): string {
  return `/containers/${encodeURIComponent(reference)}`;
}
