/** Random services under simulation, and the proof that its rules find what is wrong. */
import { strict as assert } from 'node:assert';
import { execute } from './execute.ts';
import { randomProgram } from './program.ts';
import { planted } from './planted.ts';
import { ruleOf, runServices } from './run.ts';
import { shrink } from './shrink.ts';

const seeds = 12;

describe('random services under simulation', function () {
  this.timeout(120_000);

  it(`keep to their rules with seeds 1 to ${seeds}`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { checks } = await runServices(seed);
      assert.ok(checks > 0, `nothing was checked with seed ${seed}`);
    }
  });

  it('run the same way with the same seed, and another way with another', async () => {
    const [first, again, other] = [
      await execute(randomProgram(3), { seed: 3 }),
      await execute(randomProgram(3), { seed: 3 }),
      await execute(randomProgram(4), { seed: 4 }),
    ];
    assert.deepEqual(again, first);
    assert.notEqual(other.digest, first.digest);
  });

  it('are shortened to what is needed to fail', async () => {
    const lines = Array.from({ length: 40 }, (_, at) => `line ${at}`);
    const needed = ['line 3', 'line 17', 'line 38'];
    const left = await shrink(lines, (shorter) =>
      Promise.resolve(needed.every((line) => shorter.includes(line))),
    );
    assert.deepEqual(left, needed);
  });
});

interface Bug {
  /** The rules that may find it first. */
  readonly rules: readonly string[];
  /** A seed whose program finds it, or the lines of one. */
  readonly program: number | readonly string[];
}

const bugs: Readonly<Record<keyof typeof planted, Bug>> = {
  'an update takes one more at once than it may': {
    rules: ['no more at once than the parallelism'],
    program: 3,
  },
  'a rollback takes one more at once than it may': {
    rules: ['no more at once than the parallelism'],
    program: [
      'nodes a',
      'create web replicas=4 image=good:1 parallelism=0 monitor=0s rollback-parallelism=1',
      'run 5s',
      'update web image=good:2',
      'run 20s',
      'rollback web',
      'run 20s',
    ],
  },
  'what a service has on a node counts for nothing': {
    rules: ['placement', 'spread'],
    program: 5,
  },
  'reservations count for nothing': { rules: ['placement'], program: 3 },
  "a host's ports are all free": {
    rules: ['a port is given once', 'placement'],
    program: ['nodes a', 'create web replicas=1 publish=host:9090:90', 'run 1s', 'scale web=2'],
  },
  'a device is given again': { rules: ['a device is given once'], program: 7 },
  'a virtual address is kept by who leaves the network': {
    rules: ['addresses'],
    program: [
      'nodes a',
      'network back',
      'run 0s',
      'create web network=back',
      'run 5s',
      'update web network=none',
    ],
  },
  'a new leader begins the last tick again': {
    rules: ['a tick begins one run'],
    program: [
      'nodes a',
      'create tick mode=replicated-job schedule=*_*_*_*_* image=job-good:1',
      'run 90s',
      'leader 0s',
      'run 1s',
    ],
  },
  'a job is done once more than asked': {
    rules: ['a job is done as often as asked'],
    program: ['nodes a', 'create migrate mode=replicated-job completions=2 image=job-good:1'],
  },
  'the delay before a restart is left out': {
    rules: ['the restart delay'],
    program: ['nodes a', 'create web image=bad:1 delay=8s', 'run 30s'],
  },
  'a drained node takes tasks': {
    rules: ['placement', 'desired equals observed'],
    program: ['nodes a b', 'create web replicas=4', 'run 1s', 'drain b', 'run 1s', 'scale web=8'],
  },
  'labels that no longer fit change nothing': {
    rules: ['placement', 'desired equals observed'],
    program: [
      'nodes a b zone=east',
      'create web replicas=2 constraint=node.labels.zone==east',
      'run 1s',
      'label a zone=west',
    ],
  },
};

describe('bugs planted in services under simulation', function () {
  this.timeout(120_000);

  for (const [name, { rules, program }] of Object.entries(bugs)) {
    it(`are found: ${name}`, async () => {
      const [lines, seed] =
        typeof program === 'number' ? [randomProgram(program), program] : [program, 1];
      const honest = await execute(lines, { seed });
      assert.equal(honest.failure, undefined, 'it fails without the bug');
      const distort = planted[name as keyof typeof planted]();
      const { failure } = await execute(lines, { seed, distort });
      assert.ok(rules.includes(ruleOf(failure)), String(failure));
    });
  }
});
