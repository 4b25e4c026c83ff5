import { setRole } from '../../node/change.ts';
import { atLeast, type Command } from '../../command/command.ts';

export const command: Command = {
  usage: 'NODE [NODE...]',
  flags: [],
  args: atLeast(1),
  run: (context, references) => setRole(context, references, 'worker'),
};
