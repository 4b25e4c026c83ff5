import { strict as assert } from 'node:assert';
import { AssignmentChange_Action, Assignments_Kind } from '../../gen/dispatcher_pb.js';
import { SimCluster } from '../../test/scenario/sim-cluster.ts';
import { NodeAssignments, type AssignmentSet } from './assignments.ts';
import { NetworkBook } from './network-book.ts';

/** Below what gRPC takes, with room for a last task that is as large as a spec may be. */
const messageBytesMax = 16 * 1024 * 1024;

const bytesOf = ({ changes }: AssignmentSet) =>
  changes.reduce((sum, { object }) => sum + (object?.length ?? 0), 0);

function idsOf({ changes }: AssignmentSet, isTold: boolean): string[] {
  return changes
    .filter(({ type, object }) => type === 'task' && (object !== undefined) === isTold)
    .map(({ id, action }) => {
      assert.equal(action, AssignmentChange_Action.UPDATE);
      return id;
    });
}

describe("a node's assignments", () => {
  it('come in pieces where they are too large for a message, and all are named at once', async () => {
    await using cluster = new SimCluster();
    await cluster.start();
    cluster.addNode('a');
    await cluster.settle();
    cluster.createService({
      name: 'web',
      labels: {},
      task: { container: { image: 'web:1', env: [`X=${'x'.repeat(2 ** 20)}`] }, forceUpdate: 0 },
      mode: { replicated: { replicas: 40 } },
    });
    await cluster.settle();
    const view = cluster.store;
    const all = [...view.tasksOfNode('a')].map(({ id }) => id);
    assert.equal(all.length, 40);
    const parts = { view, book: new NetworkBook(view), gate: { holds: () => false } };
    const assignments = new NodeAssignments(parts, 'a');
    const complete = assignments.complete();
    assert.equal(complete.kind, Assignments_Kind.COMPLETE);
    const told = idsOf(complete, true);
    assert.deepEqual([...told, ...idsOf(complete, false)].sort(), all.toSorted());
    const sets = [complete];
    while (assignments.dirty) {
      const set = assignments.incremental();
      assert.deepEqual(idsOf(set, false), []);
      told.push(...idsOf(set, true));
      sets.push(set);
    }
    assert.deepEqual(told.toSorted(), all.toSorted());
    assert.ok(sets.every((set) => bytesOf(set) < messageBytesMax));
    assert.ok(sets.length > 3, `${sets.length} sets`);
  });
});
