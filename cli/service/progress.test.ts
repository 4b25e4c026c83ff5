import { strict as assert } from 'node:assert';
import type { WireNode, WireService, WireTask } from '../client/wire.ts';
import { ProgressTracker, type ProgressView, type TrackerOptions } from './progress.ts';

const meta = { Version: { Index: 10 }, CreatedAt: '', UpdatedAt: '' };
const node: WireNode = {
  ...meta,
  ID: 'n1',
  Spec: { Role: 'worker', Availability: 'active' },
  Description: { Hostname: 'h1' },
  Status: { State: 'ready' },
};

function makeService(replicas: number, overrides: Partial<WireService> = {}): WireService {
  return {
    ...meta,
    ID: 's1',
    Spec: {
      Name: 'web',
      Mode: { Replicated: { Replicas: replicas } },
      TaskTemplate: { RestartPolicy: { Condition: 'any', Delay: 5e9 } },
    },
    ...overrides,
  };
}

interface TaskWords {
  readonly id?: string;
  readonly desired?: string;
  readonly err?: string;
  readonly node?: string;
  readonly version?: number;
  readonly createdAt?: string;
  readonly iteration?: number;
}

function makeTask(slot: number, state: string, words: TaskWords = {}): WireTask {
  const { id = `t${slot}`, desired = 'running', err = '', version = 20 } = words;
  return {
    ...meta,
    ID: id,
    Version: { Index: version },
    CreatedAt: words.createdAt ?? '',
    ServiceID: 's1',
    Slot: slot,
    NodeID: words.node ?? 'n1',
    DesiredState: desired,
    Spec: {},
    Status: { Timestamp: '', State: state, Err: err },
    ...(words.iteration === undefined ? {} : { JobIteration: { Index: words.iteration } }),
  };
}

/** Plays snapshots at given times. */
class Player {
  readonly #tracker: ProgressTracker;

  constructor(options: Partial<TrackerOptions> = {}) {
    this.#tracker = new ProgressTracker({
      rollback: false,
      timeoutMs: 0,
      sinceVersion: 10,
      ...options,
    });
  }

  at(nowMs: number, service: WireService, ...tasks: WireTask[]): ProgressView {
    return this.#tracker.step({ service, tasks, nodes: new Map([['n1', node]]), nowMs });
  }
}

const failedTask = (slot: number, id: string) =>
  makeTask(slot, 'failed', { id, desired: 'shutdown', err: 'exit 3' });

describe('service/progress', () => {
  it('counts slots and waits until they have been stable', () => {
    const play = new Player();
    const service = makeService(2);
    const first = play.at(0, service, makeTask(1, 'running'), makeTask(2, 'preparing'));
    assert.equal(first.overall, 'overall progress: 1 out of 2 tasks');
    assert.deepEqual(
      first.slots.map(({ label, text }) => `${label} ${text}`),
      ['1/2 running', '2/2 preparing'],
    );
    const both = [makeTask(1, 'running'), makeTask(2, 'running')];
    const second = play.at(1000, service, ...both);
    assert.deepEqual(second.notes, [
      'verify: Waiting 5 seconds to verify that tasks are stable...',
    ]);
    assert.deepEqual(play.at(5999, service, ...both).outcome, { kind: 'going' });
    assert.deepEqual(play.at(6000, service, ...both).outcome, { kind: 'converged' });
  });

  it('begins to watch again when a task fails meanwhile', () => {
    const play = new Player();
    const service = makeService(1);
    play.at(0, service, makeTask(1, 'running'));
    play.at(3000, service, failedTask(1, 'old'), makeTask(1, 'starting', { id: 'new' }));
    play.at(4000, service, failedTask(1, 'old'), makeTask(1, 'running', { id: 'new' }));
    const view = play.at(
      6000,
      service,
      failedTask(1, 'old'),
      makeTask(1, 'running', { id: 'new' }),
    );
    assert.deepEqual(view.outcome, { kind: 'going' });
  });

  it('watches as long as the spec asks', () => {
    const play = new Player();
    const base = makeService(0);
    const service = { ...base, Spec: { ...base.Spec, UpdateConfig: { Monitor: 1e9 } } };
    assert.deepEqual(play.at(0, service).outcome, { kind: 'going' });
    assert.deepEqual(play.at(1000, service).outcome, { kind: 'converged' });
  });

  it('counts only what is still wanted while a service shrinks', () => {
    const play = new Player();
    const view = play.at(
      0,
      makeService(1),
      makeTask(1, 'running', { desired: 'remove' }),
      makeTask(2, 'running'),
      makeTask(3, 'running', { desired: 'remove' }),
    );
    assert.equal(view.overall, 'overall progress: 1 out of 1 tasks');
  });

  it('does not count tasks of nodes that are down', () => {
    const tracker = new ProgressTracker({ rollback: false, timeoutMs: 0, sinceVersion: 0 });
    const down = { ...node, Status: { State: 'down' } };
    const view = tracker.step({
      service: makeService(1),
      tasks: [makeTask(1, 'running')],
      nodes: new Map([['n1', down]]),
      nowMs: 0,
    });
    assert.equal(view.overall, 'overall progress: 0 out of 1 tasks');
  });

  it('gives up when every open slot has failed three times, each reason told once', () => {
    const play = new Player();
    const service = makeService(2);
    const tasks = [1, 2].flatMap((slot) => [
      ...['a', 'b', 'c'].map((id) => failedTask(slot, `${slot}${id}`)),
      makeTask(slot, 'ready', {
        id: `${slot}d`,
        desired: 'ready',
        createdAt: '2026-01-02T03:04:05Z',
      }),
    ]);
    assert.deepEqual(play.at(0, service, ...tasks).outcome, {
      kind: 'failed',
      message:
        'service web does not converge: 0 out of 2 tasks running\n' +
        '  web.1, web.2 on h1 failed: exit 3 (6 times)',
    });
  });

  it('goes on while one slot may still come up', () => {
    const play = new Player();
    const failed = ['a', 'b', 'c'].map((id) => failedTask(1, id));
    const view = play.at(0, makeService(2), ...failed, makeTask(2, 'preparing'));
    assert.deepEqual(view.outcome, { kind: 'going' });
  });

  it('leaves failures from before the change out of account', () => {
    const play = new Player({ sinceVersion: 100 });
    const failed = ['a', 'b', 'c'].map((id) => failedTask(1, id));
    const view = play.at(0, makeService(1), ...failed, makeTask(1, 'ready', { desired: 'ready' }));
    assert.deepEqual(view.outcome, { kind: 'going' });
  });

  it('gives up on a task that finds no node after ten seconds', () => {
    const play = new Player();
    const service = makeService(1);
    const pending = makeTask(1, 'pending', { err: 'no suitable node (x)', node: '' });
    assert.deepEqual(play.at(0, service, pending).outcome, { kind: 'going' });
    assert.deepEqual(play.at(9999, service, pending).outcome, { kind: 'going' });
    assert.deepEqual(play.at(10_000, service, pending).outcome, {
      kind: 'failed',
      message:
        'service web does not converge: 0 out of 1 tasks running\n' +
        '  web.1 pending: no suitable node (x)',
    });
  });

  it('gives up on a slot whose task ended without a successor', () => {
    const play = new Player();
    const service = makeService(1);
    const ended = makeTask(1, 'complete', { desired: 'shutdown' });
    play.at(0, service, ended);
    assert.equal(play.at(7999, service, ended).outcome.kind, 'going');
    assert.equal(play.at(8000, service, ended).outcome.kind, 'failed');
  });

  it('gives up sooner where nothing is ever restarted', () => {
    const play = new Player();
    const base = makeService(1);
    const TaskTemplate = { RestartPolicy: { Condition: 'none' } };
    const service = { ...base, Spec: { ...base.Spec, TaskTemplate } };
    const ended = makeTask(1, 'failed', { desired: 'shutdown', err: 'exit 1' });
    play.at(0, service, ended);
    assert.equal(play.at(3000, service, ended).outcome.kind, 'failed');
  });

  it('lets slots that an update has not reached wait for the stuck one, for a while', () => {
    const play = new Player();
    const service = makeService(3, { UpdateStatus: { State: 'updating' } });
    const pending = makeTask(1, 'pending', { err: 'no suitable node', node: '' });
    play.at(0, service, pending);
    assert.equal(play.at(10_000, service, pending).outcome.kind, 'going');
    assert.equal(play.at(20_000, service, pending).outcome.kind, 'failed');
  });

  it('ends when the update pauses, with the reasons', () => {
    const play = new Player();
    const service = makeService(1, { UpdateStatus: { State: 'paused', Message: 'why' } });
    assert.deepEqual(play.at(0, service, failedTask(1, 'a')).outcome, {
      kind: 'failed',
      message: 'service update paused: why\n  web.1 on h1 failed: exit 3',
    });
  });

  it('fails once rolled back, with what made it so', () => {
    const play = new Player();
    const status = (State: string, Message: string) => ({ UpdateStatus: { State, Message } });
    play.at(0, makeService(1, status('updating', 'update in progress')), failedTask(1, 'a'));
    const started = makeService(1, status('rollback_started', 'because of task a'));
    const rolling = play.at(100, started, makeTask(1, 'starting', { id: 'b' }));
    assert.equal(rolling.overall, 'overall progress: rolling back update: 0 out of 1 tasks');
    assert.deepEqual(rolling.notes, ['rollback: because of task a']);
    const completed = makeService(1, status('rollback_completed', 'rollback completed'));
    const running = makeTask(1, 'running', { id: 'b' });
    play.at(200, completed, running);
    assert.deepEqual(play.at(5200, completed, running).outcome, {
      kind: 'failed',
      message: 'service rolled back: because of task a\n  web.1 on h1 failed: exit 3',
    });
  });

  it('converges when the rollback is what was asked for', () => {
    const play = new Player({ rollback: true });
    const service = makeService(1, { UpdateStatus: { State: 'rollback_completed', Message: 'x' } });
    play.at(0, service, makeTask(1, 'running'));
    assert.equal(play.at(5000, service, makeTask(1, 'running')).outcome.kind, 'converged');
  });

  it('gives up after the time-out', () => {
    const play = new Player({ timeoutMs: 60_000 });
    const service = makeService(1);
    const slow = makeTask(1, 'preparing');
    play.at(5000, service, slow);
    assert.equal(play.at(64_999, service, slow).outcome.kind, 'going');
    assert.deepEqual(play.at(65_000, service, slow).outcome, {
      kind: 'failed',
      message:
        'service web has not converged after 1m0s: 0 out of 1 tasks running\n' +
        '  web.1 on h1 preparing: no reason given',
    });
  });

  it('counts the nodes of a global service', () => {
    const play = new Player();
    const base = makeService(0);
    const service = { ...base, Spec: { ...base.Spec, Mode: { Global: {} } } };
    assert.equal(play.at(0, service).outcome.kind, 'going');
    const view = play.at(100, service, makeTask(0, 'running'));
    assert.equal(view.overall, 'overall progress: 1 out of 1 tasks');
    assert.deepEqual(
      view.slots.map(({ label }) => label),
      ['n1'],
    );
    assert.equal(play.at(5100, service, makeTask(0, 'running')).outcome.kind, 'converged');
  });

  it('tells when no node runs a global service', () => {
    const play = new Player();
    const base = makeService(0);
    const service = { ...base, Spec: { ...base.Spec, Mode: { Global: {} } } };
    play.at(0, service);
    assert.deepEqual(play.at(10_000, service).outcome, {
      kind: 'failed',
      message: 'service web does not converge: no node runs it, see its constraints',
    });
  });

  it('waits for every completion of a job of this iteration', () => {
    const play = new Player();
    const base = makeService(0);
    const Mode = { ReplicatedJob: { TotalCompletions: 2, MaxConcurrent: 1 } };
    const JobStatus = { JobIteration: { Index: 7 } };
    const service = { ...base, Spec: { ...base.Spec, Mode }, JobStatus };
    const done = (slot: number, iteration: number) =>
      makeTask(slot, 'complete', { desired: 'complete', iteration });
    const view = play.at(0, service, done(0, 7), done(1, 6));
    assert.equal(view.overall, 'job progress: 1 out of 2 complete');
    assert.equal(play.at(1, service, done(0, 7), done(1, 7)).outcome.kind, 'converged');
  });
});
