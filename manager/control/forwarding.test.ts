/** Commands find the leader, wherever the lead goes meanwhile. */
import { strict as assert } from 'node:assert';
import type { Control as ControlService } from '../../gen/control_pb.js';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { HandlersOf } from '../../lib/grpc/index.ts';
import { seededRandom } from '../../lib/random.ts';
import { serviceSpec, type Service, type ServiceSpec } from '../../types/index.ts';
import { Store, untriedError } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { Control } from './control.ts';
import { LeadersControl, serveControl } from './forwarding.ts';

function spec(name: string): ServiceSpec {
  const given = { Name: name, TaskTemplate: { ContainerSpec: { Image: 'web:1' } } };
  return serviceSpec.decode(given, '');
}

async function swarm() {
  const clock = new VirtualClock();
  const log = new MemoryLog();
  const store = new Store(log);
  await store.open();
  const control = new Control({
    store,
    clock,
    random: seededRandom(7),
    makeJoinToken: () => '',
    makeUnlockKey: () => '',
    checkDemotion: () => undefined,
  });
  const service = (name: string): Service => {
    const found = store.serviceByName(name);
    assert.ok(found !== undefined, `there is no service ${name}`);
    return found;
  };
  return { clock, log, store, control, service };
}

describe('forwarded commands', () => {
  it('reach the leader, and bring back its answers and errors', async () => {
    const { clock, control, service, store } = await swarm();
    const authorize = (role: string) => {
      if (role !== 'manager') throw new SwarmError('permission-denied', 'managers only');
    };
    const handlers = serveControl<string>(control, () => store.isLeader, authorize);
    const as = (role: string) =>
      new LeadersControl({
        own: () => undefined,
        leader: async () => clientOf((request) => handlers.call(request, role)),
        clock,
      });
    const follower = as('manager');
    const { id } = await follower.createService({ spec: spec('web'), user: 'alice' });
    assert.equal(service('web').id, id);
    const lacking = { code: 'not-found', message: 'service x not found' };
    await assert.rejects(follower.removeService({ id: 'x' }), lacking);
    const { meta } = service('web');
    const asked = { id, version: meta.version, spec: spec('web') };
    await follower.updateService({ ...asked, user: 'bob' });
    await follower.removeService({ id, user: 'carol' });
    assert.deepEqual(
      store.history.records.filter(({ kind }) => kind === 'service').map(({ user }) => user),
      ['alice', 'bob', 'carol'],
      'the leader knows whose commands they were',
    );
    await assert.rejects(as('worker').removeService({ id }), { code: 'permission-denied' });
    const unknown = handlers.call(
      { method: 'toString', arguments: Buffer.from('{}') } as never,
      'manager',
    );
    await assert.rejects(unknown, { code: 'unimplemented' });
  });

  it('go to the next leader where the first one handed over before it did anything', async () => {
    const { clock, control, log, service, store } = await swarm();
    const leads = () => store.isLeader;
    const handlers = serveControl<undefined>(control, leads, () => undefined);
    const asked: string[] = [];
    const refusals = [
      () => untriedError(),
      () => new SwarmError('unavailable', 'nobody listens', { details: { reason: 'unsent' } }),
    ];
    const follower = new LeadersControl({
      own: () => undefined,
      leader: async () =>
        clientOf((request) => {
          asked.push(request.method);
          const refusal = refusals.shift();
          if (refusal !== undefined) throw refusal();
          return handlers.call(request, undefined);
        }),
      clock,
    });
    const created = follower.createService({ spec: spec('web') });
    await untilDone(clock, created);
    assert.equal(service('web').id, (await created).id);
    assert.deepEqual(asked, ['createService', 'createService', 'createService']);

    log.setLeader(false);
    const beganMs = clock.monotonicMs();
    const late = follower.createService({ spec: spec('late') });
    await untilDone(clock, late);
    await assert.rejects(late, { code: 'unavailable' });
    assert.ok(clock.monotonicMs() - beganMs >= 3_000, 'it was asked for as long as it may take');
  });

  it('are not tried again where they may have been carried out', async () => {
    const { clock } = await swarm();
    let calls = 0;
    const follower = new LeadersControl({
      own: () => undefined,
      leader: async () =>
        clientOf(() => {
          calls += 1;
          throw new SwarmError('unavailable', 'the connection broke');
        }),
      clock,
    });
    await assert.rejects(follower.removeService({ id: 'x' }), { message: 'the connection broke' });
    assert.equal(calls, 1);
  });

  it('are carried out by this manager itself while it leads', async () => {
    const { clock, control, log, service, store } = await swarm();
    const own = new LeadersControl({
      own: () => (store.isLeader ? control : undefined),
      leader: () => Promise.reject(new SwarmError('unavailable', 'there is no leader')),
      clock,
    });
    const { id } = await own.createService({ spec: spec('web') });
    assert.equal(service('web').id, id);
    log.setLeader(false);
    await assert.rejects(own.removeService({ id }), { message: 'there is no leader' });
  });
});

type Call = HandlersOf<typeof ControlService, undefined>['call'];

function clientOf(call: (request: Parameters<Call>[0]) => ReturnType<Call>) {
  return {
    call: async (request: { readonly method?: string; readonly arguments?: Uint8Array }) => {
      const method = request.method ?? '';
      const args = request.arguments ?? new Uint8Array();
      const message = { $typeName: 'tsswarm.control.CallRequest', method, arguments: args };
      const { result } = await call(message as never);
      return { $typeName: 'tsswarm.control.CallResponse', result } as never;
    },
  };
}

/** Lets the clock run for as long as the work sleeps on it. */
async function untilDone(clock: VirtualClock, work: Promise<unknown>): Promise<void> {
  const state = { isDone: false };
  const end = () => (state.isDone = true);
  work.then(end, end);
  while (!state.isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance((clock.nextTimerMs() ?? clock.nowMs()) - clock.nowMs());
  }
}
