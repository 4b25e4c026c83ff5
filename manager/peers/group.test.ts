/** Who is let into the group, and who is not, as the leader decides it. */
import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import type { CallContext, Connection } from '../../lib/grpc/index.ts';
import { silentLogger } from '../../lib/log.ts';
import type { ConfChange, ConfState } from '../../raft/index.ts';
import { ManagerGroup } from './group.ts';

/** A leader, and a new manager whose log is at `match` of 1,000. */
function start() {
  const clock = new VirtualClock();
  const world = { match: 0, managers: new Set(['leader', 'new']), steps: [] as string[] };
  let conf: ConfState = {
    voters: ['leader'],
    outgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  const group = new ManagerGroup({
    ownId: 'leader',
    log: {
      get status() {
        return {
          term: 1,
          role: 'leader' as const,
          leader: 'leader',
          conf,
          transferTarget: '',
          committed: 1_000,
          firstIndex: 1,
          lastIndex: 1_000,
          appliedIndex: 1_000,
          isDiskFull: false,
        };
      },
      progressOf: () => ({ match: world.match, active: true }),
      changeMembership: ({ steps }: ConfChange) => {
        for (const { op, node } of steps) {
          world.steps.push(`${op} ${node}`);
          const learners = conf.learners.filter((id) => id !== node);
          const voters = conf.voters.filter((id) => id !== node);
          if (op === 'add-learner') learners.push(node);
          if (op === 'add-voter') voters.push(node);
          conf = { ...conf, learners, voters };
        }
        return Promise.resolve();
      },
      transferLeadership: () => Promise.resolve(),
    },
    clock,
    logger: silentLogger,
    connect: () =>
      ({
        client: () => ({ probe: () => Promise.resolve({ nodeId: 'new' }) }),
        [Symbol.dispose]: () => undefined,
      }) as unknown as Connection,
    addrOf: () => 'addr',
    leaderAddr: () => 'addr',
    writeNode: () => Promise.resolve(),
    records: {
      isManager: (id) => world.managers.has(id),
      moved: () => Promise.resolve(),
      forget: () => Promise.resolve(),
    },
    externalStore: undefined,
  });
  const caller = new AbortController();
  const context: CallContext = { peer: undefined, remoteIp: '', signal: caller.signal };
  const request = { $typeName: 'tsswarm.raft.JoinRequest' as const, nodeId: 'new', addr: 'addr' };
  const joining = group.handlers.join(request, context);
  // A test looks at it only later.
  joining.catch((error: unknown) => assert.ok(error instanceof Error));
  /** Lets what is waiting go on, for this long. */
  const pass = async (ms: number) => {
    for (let step = 0; step < ms; step += 20) {
      await new Promise(setImmediate);
      clock.advance(20);
    }
    await new Promise(setImmediate);
  };
  return { caller, group, joining, pass, world };
}

describe('the group of managers', () => {
  it('makes a voter of a new manager once it has caught up', async () => {
    const { joining, pass, world } = start();
    await pass(500);
    assert.deepEqual(world.steps, ['add-learner new']);
    world.match = 990;
    await pass(100);
    await joining;
    assert.deepEqual(world.steps, ['add-learner new', 'add-voter new']);
  });

  it('makes no voter of one that was demoted before it had caught up', async () => {
    const { group, joining, pass, world } = start();
    await pass(100);
    world.managers.delete('new');
    world.match = 990;
    await pass(100);
    await assert.rejects(joining, { code: 'failed-precondition', message: /no manager any more/ });
    assert.deepEqual(world.steps, ['add-learner new']);
    assert.deepEqual(group.strays(), ['new']);
    await group.remove('new');
    assert.deepEqual(group.strays(), []);
  });

  it('makes no voter of one that does not wait any more', async () => {
    const { caller, joining, pass, world } = start();
    await pass(100);
    caller.abort(new Error('gone'));
    world.match = 990;
    await pass(100);
    await assert.rejects(joining, { message: 'gone' });
    assert.deepEqual(world.steps, ['add-learner new']);
  });

  it('gives up on one that does not catch up', async () => {
    const { joining, pass, world } = start();
    await pass(61_000);
    await assert.rejects(joining, { code: 'deadline-exceeded' });
    assert.deepEqual(world.steps, ['add-learner new']);
  });
});
