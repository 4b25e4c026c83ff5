import { strict as assert } from 'node:assert';
import { Client } from '../client/index.ts';
import { StubDaemon } from '../testing/stub-daemon.ts';
import { resumed } from './resumed.ts';

const worker = {
  LocalNodeState: 'active',
  RemoteManagers: [{ NodeID: 'n1', Addr: '10.0.0.1:2377' }],
};

describe('swarm/resumed', () => {
  const cases: { name: string; swarm?: object; remote?: string; expect: RegExp | undefined }[] = [
    { name: 'is no host of which nothing is known', expect: undefined },
    { name: 'is no host outside', swarm: { LocalNodeState: 'inactive' }, expect: undefined },
    { name: 'is no locked manager', swarm: { LocalNodeState: 'locked' }, expect: undefined },
    {
      name: 'is a manager',
      swarm: { LocalNodeState: 'active', ControlAvailable: true },
      expect: /back there, as a manager; nothing else was done/,
    },
    {
      name: 'is a manager that waits for the others',
      swarm: { LocalNodeState: 'pending', ControlAvailable: true },
      expect: /as a manager/,
    },
    { name: 'is a worker of that swarm', swarm: worker, remote: '10.0.0.1', expect: /a worker/ },
    { name: 'is no worker of another', swarm: worker, remote: '10.0.0.2:2377', expect: undefined },
  ];
  for (const { name, swarm, remote, expect } of cases) {
    it(name, async () => {
      const info = { Name: 'h1', Swarm: swarm };
      await using daemon = await new StubDaemon({ 'GET /info': { json: info } }).listen();
      const lines: string[] = [];
      const out = { line: (text: string) => void lines.push(text) };
      const found = await resumed({ out } as never, new Client(daemon.host), remote);
      assert.equal(found, expect !== undefined);
      assert.match(lines.join('\n'), expect ?? /^$/);
    });
  }
});
