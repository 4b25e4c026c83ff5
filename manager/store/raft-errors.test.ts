import { strict as assert } from 'node:assert';
import { InvariantError, LogError, RaftError } from '../../raft/index.ts';
import { isLogLost, toSwarmError } from './raft-errors.ts';

describe('what the raft library throws', () => {
  const cases: { name: string; thrown: Error; code: string; message: RegExp; lost?: true }[] = [
    {
      name: 'says how to find a leader',
      thrown: new RaftError('no-leader', 'x'),
      code: 'unavailable',
      message: /^The swarm does not have a leader\. .*--force-new-cluster/,
    },
    {
      name: 'says that a change was not stored',
      thrown: new LogError('full', 'no space is left'),
      code: 'resource-exhausted',
      message: /^the change was not stored: no space is left$/,
    },
    {
      name: 'says the way out of a damaged log',
      thrown: new LogError('corrupt', 'a.wal is damaged', { path: 'a.wal', offset: 7 }),
      code: 'internal',
      message:
        /^a\.wal is damaged; this node goes on as a worker; .*node demote.*node promote.*restore/,
      lost: true,
    },
    {
      name: 'says the way out where acknowledged entries are gone',
      thrown: new InvariantError('commit index 9 is beyond the log'),
      code: 'internal',
      message: /log is not what it had acknowledged \(commit index 9 .*"ts-swarm node promote"/,
      lost: true,
    },
    { name: 'is handed on otherwise', thrown: new Error('x'), code: 'internal', message: /^x$/ },
  ];
  for (const { name, thrown, code, message, lost = false } of cases) {
    it(name, () => {
      const error = toSwarmError(thrown);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(isLogLost(error), lost);
    });
  }
});
