import { strict as assert } from 'node:assert';
import { SwarmError } from '../lib/errors.ts';
import type { Finding, NodeFindings } from '../types/index.ts';
import type { Backend } from './backend.ts';
import type { Exchange } from './exchange.ts';
import { doctorRoutes } from './routes/doctor.ts';
import type { RouteModules } from './routes/modules.ts';

const own: Finding = { check: 'kernel', level: 'ok', text: 'all is well' };

interface Given {
  readonly isManager?: boolean;
  readonly local?: boolean;
  readonly examine?: () => Promise<readonly NodeFindings[]>;
}

/** The answer of the one route, on a backend of which only what it asks is there. */
async function answerOf({ isManager = false, local = false, examine }: Given): Promise<unknown> {
  const backend = {
    system: { info: async () => ({ hostname: 'h1' }) },
    swarm: { status: () => ({ isManager, state: 'active', nodeId: 'n1' }) },
    doctor: { examine: async () => [own] },
    manager: () => ({ examine }),
  } as unknown as Backend;
  let answer: unknown;
  const exchange = {
    flag: () => local,
    json: (value: unknown) => void (answer = value),
  } as unknown as Exchange;
  const [route] = doctorRoutes({ backend } as RouteModules);
  await route?.handle(exchange);
  return answer;
}

const ownNode = {
  ID: 'n1',
  Hostname: 'h1',
  Findings: [{ Check: 'kernel', Level: 'ok', Text: 'all is well' }],
};

describe('GET /doctor', () => {
  it('tells of its own node on a worker', async () => {
    assert.deepEqual(await answerOf({}), { Nodes: [ownNode] });
  });

  it('tells of every node on a manager, also of those that do not answer', async () => {
    const nodes: NodeFindings[] = [
      { id: 'n1', hostname: 'h1', findings: [own] },
      { id: 'n2', hostname: 'h2', findings: [], error: 'no session' },
    ];
    assert.deepEqual(await answerOf({ isManager: true, examine: async () => nodes }), {
      Nodes: [ownNode, { ID: 'n2', Hostname: 'h2', Findings: [], Error: 'no session' }],
    });
  });

  it('tells of its own node alone where it is asked to', async () => {
    const given = { isManager: true, local: true, examine: () => Promise.reject(new Error('no')) };
    assert.deepEqual(await answerOf(given), { Nodes: [ownNode] });
  });

  it('says why the others could not be asked', async () => {
    const examine = () => Promise.reject(new SwarmError('unavailable', 'nobody leads'));
    const answer = (await answerOf({ isManager: true, examine })) as { Nodes: [typeof ownNode] };
    const [first, second] = answer.Nodes[0].Findings;
    assert.equal(first?.Text, 'the other nodes could not be asked: nobody leads');
    assert.equal(second?.Text, own.text);
  });
});
