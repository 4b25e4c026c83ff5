/** What clients asked for and were told, as the checkers need it. */
import { checkRegister, type Operation } from './linearizable.ts';
import type { Outcome } from './member.ts';
import { Violation } from './violation.ts';
import type { Witness } from './witness.ts';

interface Asked {
  readonly id: number;
  readonly kind: 'write' | 'read';
  readonly key: string;
  value: string;
  readonly called: number;
  returned: number;
  how: Outcome | 'pending';
}

export class History {
  #moments = 0;
  readonly #asked: Asked[] = [];

  get length(): number {
    return this.#asked.length;
  }

  get done(): number {
    return this.#asked.filter(({ how }) => how === 'done').length;
  }

  call(
    kind: 'write' | 'read',
    id: number,
    key: string,
    value: string,
  ): (how: Outcome, value?: string) => void {
    const asked: Asked = {
      id,
      kind,
      key,
      value,
      called: ++this.#moments,
      returned: Infinity,
      how: 'pending',
    };
    this.#asked.push(asked);
    return (how, read) => {
      if (asked.how !== 'pending') return;
      asked.how = how;
      if (read !== undefined) asked.value = read;
      if (how === 'done') asked.returned = ++this.#moments;
    };
  }

  /** Throws Violation. */
  check(witness: Witness): void {
    for (const { id, kind, how } of this.#asked) {
      if (kind !== 'write') continue;
      if (how === 'done' && witness.indexOf(id) === undefined) {
        throw new Violation('no acknowledged write lost', `write ${id} is nowhere`);
      }
      if (how === 'refused' && witness.indexOf(id) !== undefined) {
        throw new Violation('refused means not done', `write ${id} was applied`);
      }
    }
    for (const key of new Set(this.#asked.map((asked) => asked.key))) {
      const operations = this.#asked
        .filter((asked) => asked.key === key && asked.how !== 'refused')
        .map(({ kind, value, called, returned }): Operation => ({ kind, value, called, returned }));
      if (checkRegister(operations) !== 'violation') continue;
      const list = operations.map(
        ({ kind, value, called, returned }) => `${kind} '${value}' ${called}..${returned}`,
      );
      throw new Violation('linearizable reads', `of ${key}: ${list.join(', ')}`);
    }
  }
}
