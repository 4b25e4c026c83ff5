/** What a verb's file exports: its words, its flags, and what it does. */
import { SwarmError } from '../../lib/errors.ts';
import type { Context } from './context.ts';
import type { Flag, FlagValues } from './flags.ts';

export interface Command {
  /** What follows the command's name in the usage line. */
  readonly usage: string;
  readonly flags: readonly Flag<unknown>[] | ((context: Context) => readonly Flag<unknown>[]);
  readonly args: Arity;
  /** Everything after the first operand is an operand too, whatever it looks like. */
  readonly passThrough?: boolean;
  /** Gets argv as it is and reads it itself: `flags` are then only its own affair. */
  readonly rawArguments?: boolean;
  /** Paragraphs for --help below the usage line, where the short description says too little. */
  readonly long?: string;
  run(context: Context, args: readonly string[], flags: FlagValues): Promise<void>;
}

interface Arity {
  readonly min: number;
  readonly max: number;
}

export const noArgs: Arity = { min: 0, max: 0 };
export const exactly = (count: number): Arity => ({ min: count, max: count });
export const atLeast = (min: number): Arity => ({ min, max: Infinity });
export const between = (min: number, max: number): Arity => ({ min, max });

/** Says what is wrong with the number of operands, in Docker's words; undefined where it fits. */
export function arityProblem(arity: Arity, count: number): string | undefined {
  if (count >= arity.min && count <= arity.max) return undefined;
  if (arity.max === 0) return 'accepts no arguments.';
  if (arity.min === arity.max) return `requires exactly ${plural(arity.min)}.`;
  if (arity.max === Infinity) return `requires at least ${plural(arity.min)}.`;
  if (arity.min === 0) return `requires at most ${plural(arity.max)}.`;
  return `requires at least ${arity.min} and at most ${plural(arity.max)}.`;
}

function plural(count: number): string {
  return count === 1 ? '1 argument' : `${count} arguments`;
}

/** Runs `each` for every operand and reports all failures at the end, as Docker's rm verbs do. */
export async function forEachOperand(
  operands: readonly string[],
  each: (operand: string) => Promise<void>,
): Promise<void> {
  const errors: string[] = [];
  for (const operand of operands) {
    try {
      await each(operand);
    } catch (error) {
      errors.push(SwarmError.from(error).message);
    }
  }
  if (errors.length > 0) throw new SwarmError('failed-precondition', errors.join('\n'));
}

export function flagsOf(command: Command, context: Context): readonly Flag<unknown>[] {
  return typeof command.flags === 'function' ? command.flags(context) : command.flags;
}
