import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Task } from '../../types/index.ts';
import { makeRunning } from './testing.ts';
import { LogBroker, type LogBrokerParts } from './log-broker.ts';

/** Lets everything that can go on go on. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a reader of logs', () => {
  /** Follows the logs of a task on a node, which `answers` may be told of. */
  const follow = (task: Task) => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const asked: string[] = [];
    let onSession: (nodeId: string, connected: boolean) => void = () => undefined;
    const parts: LogBrokerParts = {
      store: {
        task: (id) => (id === task.id ? task : undefined),
        tasksOfService: () => [],
        service: () => undefined,
        node: () => undefined,
        onChange: () => ({ [Symbol.dispose]: () => undefined }),
      },
      dispatcher: {
        subscribeLogs: (_nodeId, { id = '', close = false }) => {
          if (!close) asked.push(id);
          return true;
        },
        onSession: (listener) => {
          onSession = listener;
          return { [Symbol.dispose]: () => undefined };
        },
      },
      clock,
      random: seededRandom(1),
      log: silentLogger,
    };
    const stop = new AbortController();
    const query = { follow: true, stdout: true, stderr: true };
    const reading = (async () => {
      const broker = new LogBroker(parts);
      for await (const item of broker.logs({ task }, query, { signal: stop.signal })) {
        told.push('notice' in item ? item.notice : String(item.line.timeNs));
      }
    })();
    const session = (connected: boolean) => onSession(task.nodeId, connected);
    return { clock, told, asked, session, end: () => (stop.abort(), reading) };
  };

  it('is told of a node that does not answer', async () => {
    const { clock, told, end } = follow(makeRunning('t', 'n'));
    await turn();
    clock.advance(10_000);
    await turn();
    assert.match(told.join(), /the node does not answer/);
    await end();
  });

  it('is not told so of one that has been asked again since', async () => {
    const { clock, told, asked, session, end } = follow(makeRunning('t', 'n'));
    await turn();
    clock.advance(5_000);
    session(false);
    clock.advance(1_000);
    session(true);
    await turn();
    assert.equal(asked.length, 2);
    clock.advance(6_000);
    await turn();
    assert.deepEqual(told.length, 1, told.join());
    assert.match(told.join(), /the connection to the node broke off/);
    await end();
  });
});
