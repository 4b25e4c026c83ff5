import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { makePeer } from './testing.ts';
import { Examinations } from './examinations.ts';

/** Nodes that answer as a test tells them; those without an answer have no session. */
class Nodes {
  readonly clock = new VirtualClock();
  readonly answers: Record<string, unknown> = {};
  readonly examinations: Examinations;

  constructor(ids: readonly string[]) {
    this.examinations = new Examinations({
      store: { nodes: () => ids.map((id) => makePeer(id)) },
      nodes: { examine: (nodeId, id) => this.#examine(nodeId, id) },
      clock: this.clock,
      random: seededRandom(1),
    });
  }

  #examine(nodeId: string, id: string): boolean {
    if (!(nodeId in this.answers)) return false;
    const answer = this.answers[nodeId];
    if (answer === 'silent') return true;
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    queueMicrotask(() => this.examinations.answered(nodeId, id, Buffer.from(text)));
    return true;
  }
}

const well = (Text: string) => [{ Check: 'swarm', Level: 'ok', Text }];

describe('examinations of all nodes', () => {
  it('gather what each says, with names in place of ids', async () => {
    const nodes = new Nodes(['node2', 'node1']);
    nodes.answers['node1'] = well('all is well');
    nodes.answers['node2'] = well('node1 is near');
    const all = await nodes.examinations.all();
    assert.deepEqual(
      all.map(({ hostname, findings }) => [hostname, findings[0]?.text]),
      [
        ['node1', 'all is well'],
        ['node2', 'node1 is near'],
      ],
    );
  });

  const cases: { name: string; answer?: unknown; expect: RegExp }[] = [
    { name: 'has no session', expect: /no session/ },
    { name: 'talks nonsense', answer: '{"Nodes"', expect: /JSON/ },
    { name: 'says something else', answer: { Level: 'ok' }, expect: /findings: expected/ },
    { name: 'talks too much', answer: 'x'.repeat(70_000), expect: /more than there can be/ },
  ];
  for (const { name, answer, expect } of cases) {
    it(`say why of a node that ${name}`, async () => {
      const nodes = new Nodes(['node1']);
      if (answer !== undefined) nodes.answers['node1'] = answer;
      const [node] = await nodes.examinations.all();
      assert.deepEqual(node?.findings, []);
      assert.match(node?.error ?? '', expect);
    });
  }

  it('do not wait for ever', async () => {
    const nodes = new Nodes(['node1', 'node2']);
    nodes.answers['node1'] = 'silent';
    nodes.answers['node2'] = well('all is well');
    const all = nodes.examinations.all();
    await Promise.resolve();
    nodes.clock.advance(15_000);
    const [first, second] = await all;
    assert.match(first?.error ?? '', /not answered within 15 s/);
    assert.equal(second?.findings.length, 1);
  });

  it('let no node write on terminals as it likes', async () => {
    const nodes = new Nodes(['node1']);
    nodes.answers['node1'] = well('red \u001B[31m and\nnew');
    const [node] = await nodes.examinations.all();
    assert.equal(node?.findings[0]?.text, 'red  [31m and new');
  });

  it('are bounded in number', async () => {
    const nodes = new Nodes(['node1']);
    nodes.answers['node1'] = 'silent';
    const all = Array.from({ length: 16 }, () => nodes.examinations.all());
    await assert.rejects(nodes.examinations.all(), /16 examinations/);
    nodes.clock.advance(15_000);
    await Promise.all(all);
  });
});
