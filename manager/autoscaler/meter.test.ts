import { strict as assert } from 'node:assert';
import { Meter } from './meter.ts';

const all = () => true;
const reading = (atMs: number, fields: object) => ({ tasks: [{ taskId: 't', atMs, ...fields }] });

function meter(...readings: [atMs: number, fields: object][]): Meter {
  const made = new Meter();
  made.expect(new Set(['t']));
  for (const [atMs, fields] of readings) made.take(reading(atMs, fields), atMs, all);
  return made;
}

describe('what nodes have measured', () => {
  it('are rates of counters, and the last of what is no counter', () => {
    const made = meter(
      [1000, { cpuNs: 0, accepted: 5, memoryBytes: 10, connections: 3 }],
      [3000, { cpuNs: 1e9, accepted: 25, memoryBytes: 20, connections: 4 }],
    );
    assert.deepEqual(made.sample('t', 0), {
      cpu: 0.5,
      'connection-rate': 10,
      memory: 20,
      connections: 4,
    });
  });

  const cases: { name: string; made: Meter; sinceMs?: number; expect: object | undefined }[] = [
    { name: 'nothing is known before the first', made: meter(), expect: undefined },
    {
      name: 'one reading makes no rate',
      made: meter([1000, { cpuNs: 5, connections: 1 }]),
      expect: { connections: 1 },
    },
    {
      name: 'a counter that went back makes none',
      made: meter([1000, { cpuNs: 5 }], [2000, { cpuNs: 4 }]),
      expect: {},
    },
    {
      name: 'what is too old is forgotten',
      made: meter([1000, { cpuNs: 0 }], [2000, { cpuNs: 1 }]),
      sinceMs: 2500,
      expect: undefined,
    },
    {
      name: 'a reading that comes twice, or late, counts once',
      made: meter([1000, { cpuNs: 0 }], [3000, { cpuNs: 1e9 }], [3000, { cpuNs: 9e9 }], [2000, {}]),
      expect: { cpu: 0.5 },
    },
    {
      name: 'what was counted where a program began anew is left out',
      made: meter(
        [1000, { requests: 900, requestsAtMs: 1000 }],
        [2000, { requests: 3, requestsAtMs: 2000 }],
        [3000, { requests: 13, requestsAtMs: 2900 }],
      ),
      expect: { requests: 10 / 0.9 },
    },
    {
      name: 'why requests are not known is told, and no longer once they are',
      made: meter(
        [1000, { requestsProblem: 'no page' }],
        [2000, { requestsProblem: 'still none' }],
      ),
      expect: { problem: 'still none' },
    },
    {
      name: 'a page that was slow once leaves the others',
      made: meter(
        [1000, { requests: 10, requestsAtMs: 1000 }],
        [2000, { requestsProblem: 'late' }],
        [3000, { requests: 30, requestsAtMs: 3000 }],
      ),
      expect: { requests: 10 },
    },
    {
      name: 'rates are of the last three',
      made: meter(
        [0, { cpuNs: 0 }],
        [1e3, { cpuNs: 0 }],
        [2e3, { cpuNs: 0 }],
        [3e3, { cpuNs: 1e9 }],
      ),
      expect: { cpu: 0.5 },
    },
  ];
  for (const { name, made, sinceMs = 0, expect } of cases) {
    it(name, () => assert.deepEqual(made.sample('t', sinceMs), expect));
  }

  it('is taken of tasks that were asked for, from the nodes that they are on', () => {
    const made = new Meter();
    made.take(reading(1, { connections: 1 }), 1, all);
    assert.equal(made.sample('t', 0), undefined);
    made.expect(new Set(['t']));
    made.take(reading(1, { connections: 1 }), 1, () => false);
    assert.equal(made.sample('t', 0), undefined);
    made.take(reading(1, { connections: 1 }), 1, all);
    assert.deepEqual(made.sample('t', 0), { connections: 1 });
    made.expect(new Set());
    assert.equal(made.sample('t', 0), undefined);
  });
});
