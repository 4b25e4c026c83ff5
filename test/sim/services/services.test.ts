/** Random services under simulation, and the proof that its rules find what is wrong. */
import { strict as assert } from 'node:assert';
import { execute } from './execute.ts';
import { randomProgram } from './program.ts';
import { planted } from './planted.ts';
import { ruleOf, runServices } from './run.ts';
import { shrink } from './shrink.ts';

const seeds = 12;

describe('random services under simulation', function () {
  this.timeout(600_000);

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
  /** The lines that find it. */
  readonly program: readonly string[];
}

const scaled = [
  'nodes a b',
  'create web autoscale=min=1,max=4,cpu=50%,window=1m',
  'load web 0.2',
  'run 90s',
];

const bugs: Readonly<Record<keyof typeof planted, Bug>> = {
  'an update takes one more at once than it may': {
    rules: ['no more at once than the parallelism'],
    program: [
      'nodes a',
      'create web replicas=4 image=good:1 parallelism=1 monitor=0s',
      'run 5s',
      'update web image=good:2',
      'run 20s',
    ],
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
    program: ['nodes a', 'create web replicas=1 max-per-node=1', 'run 5s', 'scale web=2', 'run 5s'],
  },
  'reservations count for nothing': {
    rules: ['placement'],
    program: ['nodes a cpus=2', 'create web replicas=2 cpus=1', 'run 5s', 'scale web=3', 'run 5s'],
  },
  "a host's ports are all free": {
    rules: ['a port is given once', 'placement'],
    program: ['nodes a', 'create web replicas=1 publish=host:9090:90', 'run 1s', 'scale web=2'],
  },
  'a device is given again': {
    rules: ['a device is given once'],
    program: ['nodes a gpus=g0,g1', 'create web replicas=2 gpu=1 restart=none', 'run 5s'],
  },
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
  'autoscaling goes beyond its most': {
    rules: ['autoscaling keeps to its bounds'],
    program: [...scaled, 'load web 9', 'run 90s'],
  },
  'autoscaling forgets its window': {
    rules: ['what has grown stays for its window'],
    program: [...scaled, 'load web 1.9', 'run 30s', 'load web 0.2', 'run 90s'],
  },
  'a step of autoscaling is not written down': {
    rules: ['each step is decided once'],
    program: [...scaled, 'load web 1.9', 'run 30s'],
  },
  'any number of nodes may have a volume': {
    rules: ['a volume is used as its access mode says'],
    program: [
      'nodes a b csi=array',
      'volume box single all',
      'run 5s',
      'create web replicas=2 cluster-volume=box:/data',
      'run 5s',
    ],
  },
  'any number of tasks may have a volume': {
    rules: ['a volume is used as its access mode says'],
    program: [
      'nodes a csi=array',
      'volume disk single none',
      'run 5s',
      'create web replicas=2 cluster-volume=disk:/data',
      'run 5s',
    ],
  },
  'the swarm allows everything': {
    rules: ['only what is allowed begins'],
    program: [
      'nodes a',
      'allow devices',
      'run 0s',
      'create web device=/dev/fuse',
      'run 5s',
      'allow none',
      'run 1s',
      'crash web.1',
      'run 10s',
    ],
  },
};

describe('bugs planted in services under simulation', function () {
  this.timeout(600_000);

  for (const [name, { rules, program }] of Object.entries(bugs)) {
    it(`are found: ${name}`, async () => {
      const honest = await execute(program);
      assert.equal(honest.failure, undefined, 'it fails without the bug');
      const distort = planted[name as keyof typeof planted]();
      const { failure } = await execute(program, { distort });
      assert.ok(rules.includes(ruleOf(failure)), String(failure));
    });
  }

  it('are found: a volume is taken from a task that is told to stop', async () => {
    const lines = [
      'nodes a b csi=array',
      'volume box single all',
      'run 5s',
      'create web replicas=1 image=slow:1 constraint=node.id==a cluster-volume=box:/data',
      'run 20s',
      'update web constraint=none constraint=node.id==b',
      'run 60s',
    ];
    assert.equal((await execute(lines)).failure, undefined, 'it fails without the bug');
    const { failure } = await execute(lines, { isHasty: true });
    assert.equal(ruleOf(failure), 'a volume is not taken from under a task');
  });
});
