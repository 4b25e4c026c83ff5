import { exactly, type Command } from '../../command/command.ts';
import { planFlags, printPlan } from './deploy.ts';

export const command: Command = {
  usage: '[OPTIONS] STACK',
  flags: planFlags,
  args: exactly(1),
  run: (context, [name = ''], flags) => printPlan(context, name, flags),
};
