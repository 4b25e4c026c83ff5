/** Whole swarms under simulation, and the proof that its checkers find what is wrong. */
import { strict as assert } from 'node:assert';
import { commit } from '../run.ts';
import { Violation } from '../violation.ts';
import { planted, type Planted } from './planted.ts';
import { runManager } from './run.ts';
import type { Settings } from './settings.ts';

const seeds = 16;

describe('a whole swarm under simulation', function () {
  this.timeout(600_000);

  for (let seed = 1; seed <= seeds; seed++) {
    it(`keeps its promises with seed ${seed}`, async () => {
      try {
        const { acknowledged, checks } = await runManager({ seed });
        assert.ok(acknowledged > 0 && checks > 0, 'nothing was checked');
      } catch (error) {
        throw new Error(`seed ${seed} of commit ${commit()}: ${String(error)}`, { cause: error });
      }
    });
  }

  it('runs the same way with the same seed, and another way with another', async () => {
    const [first, again, other] = [
      await runManager({ seed: 1 }),
      await runManager({ seed: 1 }),
      await runManager({ seed: 2 }),
    ];
    assert.deepEqual(again, first);
    assert.notEqual(other.trace, first.trace);
  });
});

/** A planted bug, and the rules that may find it first. */
const bugs: readonly {
  readonly name: keyof typeof planted;
  readonly rules: readonly string[];
  readonly change?: Partial<Settings>;
}[] = [
  { name: 'apply looks at the clock', rules: ['one digest', 'state machine safety'] },
  {
    name: 'the log is not synced',
    rules: ['acknowledged changes stay', 'state machine safety', 'election safety', 'managers run'],
  },
  {
    name: 'the reconciler ignores down nodes',
    rules: ['desired equals observed'],
    change: { losesHost: true },
  },
  {
    name: 'the reconciler does not wait for the end',
    // The successor may be given the very address that its predecessor still has.
    rules: ['one task runs in a slot', 'an address is given once'],
  },
  { name: 'the reconciler forgets ticks', rules: ['a tick begins one run'] },
  { name: 'the dispatcher forgets removals', rules: ['desired equals observed'] },
  { name: 'the dispatcher mixes up addresses', rules: ['an address is given once'] },
];

describe('planted bugs', function () {
  this.timeout(600_000);

  for (const { name, rules, change = {} } of bugs) {
    it(`finds that ${name}`, async () => {
      const found = await firstViolation(planted[name], change);
      assert.ok(rules.includes(found.rule), found.message);
    });
  }
});

async function firstViolation(bug: Planted, change: Partial<Settings>): Promise<Violation> {
  for (let seed = 1; seed <= 10; seed++) {
    try {
      await runManager({ seed, planted: bug, change });
    } catch (error) {
      if (error instanceof Violation) return error;
      throw error;
    }
  }
  throw new Error('ten seeds did not find it');
}
