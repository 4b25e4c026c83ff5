import { runDaemonInFront } from '../../swarm/daemon-process.ts';
import type { Command } from '../../command/command.ts';
import { atLeast } from '../../command/command.ts';

/** The daemon reads its own flags, `--help` among them: they are handed on as they are. */
export const command: Command = {
  usage: '[OPTIONS]',
  flags: [],
  args: atLeast(0),
  rawArguments: true,
  async run(_context, args) {
    await runDaemonInFront(args);
  },
};
