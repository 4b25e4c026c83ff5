/** Everything that is wrong with a file is told at once, each thing with its place. */
import { SwarmError } from '../lib/errors.ts';
import { placeText, type Position } from './node.ts';

interface Problem {
  readonly at: Position;
  readonly message: string;
}

/** A file with this many things wrong is of another kind altogether. */
const maxShown = 100;

export class Problems {
  readonly #errors: Problem[] = [];
  readonly #warnings: Problem[] = [];
  readonly #seen = new Set<string>();
  #isBroken = false;

  get errors(): readonly Problem[] {
    return this.#errors;
  }

  get warnings(): readonly Problem[] {
    return this.#warnings;
  }

  /** What else would be found would only be a consequence of what was. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** For what makes of the whole document another one than was meant. */
  addBroken(at: Position, message: string): void {
    this.#isBroken = true;
    this.add(at, message);
  }

  add(at: Position, message: string): void {
    if (this.#isNew(`error ${placeText(at)} ${message}`)) this.#errors.push({ at, message });
  }

  warn(at: Position, message: string): void {
    if (this.#isNew(`warning ${placeText(at)} ${message}`)) this.#warnings.push({ at, message });
  }

  /** Throws `invalid-argument` with a line for each error, if there is one. */
  throwAny(): void {
    if (this.#errors.length === 0) return;
    const lines = inOrder(this.#errors).map(problemText);
    const more = lines.length - maxShown;
    const shown = more > 0 ? [...lines.slice(0, maxShown), `… and ${more} more`] : lines;
    throw new SwarmError('invalid-argument', shown.join('\n'));
  }

  /** What stands at an anchor is read each time that the anchor is used, and told once. */
  #isNew(key: string): boolean {
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }
}

export function problemText({ at, message }: Problem): string {
  return `${placeText(at)}: ${message}`;
}

/** By file in the order they were first named, then by line and column. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(({ at }) => at.file))];
  return problems.toSorted(
    ({ at: a }, { at: b }) =>
      files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}
