/** Hosts that leave and are back at once, many times over: nothing is left of the time before. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { Lab, until, type Host } from '../lab/index.ts';
import { withDaemonLogs } from './swarm.ts';

const times = 25;

interface WireNode {
  readonly ID: string;
  readonly Status: { readonly State: string };
  readonly ManagerStatus?: { readonly Reachability?: string };
}

interface Info {
  readonly Swarm: {
    readonly LocalNodeState: string;
    readonly NodeID: string;
    readonly ControlAvailable: boolean;
    readonly Nodes?: number;
    readonly Managers?: number;
  };
}

describe('hosts that leave and are back at once', () => {
  let lab: Lab;
  let h1: Host;
  let h2: Host;

  before(async () => {
    lab = await Lab.create({ hosts: 2 });
    [h1, h2] = [lab.host('h1'), lab.host('h2')];
    await Promise.all(lab.hosts.map((host) => host.startDaemon()));
  });
  afterEach(function () {
    if (this.currentTest?.err !== undefined) withDaemonLogs(this.currentTest.err, lab);
  });
  after(() => lab.close());

  const leave = (host: Host) => host.api('POST', '/swarm/leave?force=1');
  const init = (host: Host) =>
    host.api<string>('POST', '/swarm/init', { AdvertiseAddr: `${host.address}:2377` });
  const infoOf = async (host: Host) => (await host.api<Info>('GET', '/info')).Swarm;

  it(`begin a new swarm, ${times} times over`, async () => {
    const pid = h1.daemonPid;
    const seen = new Set<string>();
    seen.add(await init(h1));
    for (let time = 1; time < times; time++) {
      await leave(h1);
      const id = await init(h1);
      assert.ok(!seen.has(id), 'it is another node each time');
      seen.add(id);
      const nodes = await h1.api<WireNode[]>('GET', '/nodes');
      assert.deepEqual(
        nodes.map(({ ID }) => ID),
        [id],
        'it is alone in its new swarm',
      );
    }
    const { Nodes, Managers, ControlAvailable } = await infoOf(h1);
    assert.deepEqual([Nodes, Managers, ControlAvailable], [1, 1, true]);
    assert.equal(h1.daemonPid, pid, 'the daemon is the same');
  });

  it(`join again, ${times} times over, as a worker and as a manager in turn`, async () => {
    const pid = h2.daemonPid;
    const { JoinTokens } = await h1.api<{ JoinTokens: Record<'Worker' | 'Manager', string> }>(
      'GET',
      '/swarm',
    );
    for (let time = 0; time < times; time++) {
      const role = time % 2 === 0 ? 'Worker' : 'Manager';
      await h2.api('POST', '/swarm/join', {
        AdvertiseAddr: `${h2.address}:2377`,
        RemoteAddrs: [`${h1.address}:2377`],
        JoinToken: JoinTokens[role],
      });
      const { NodeID, LocalNodeState, ControlAvailable } = await infoOf(h2);
      assert.deepEqual([LocalNodeState, ControlAvailable], ['active', role === 'Manager']);
      await leave(h2);
      await until('the managers have let it go', () =>
        h1.apiResult('DELETE', `/nodes/${NodeID}?force=1`).then(({ status }) => status === 200),
      );
    }
    const nodes = await h1.api<WireNode[]>('GET', '/nodes');
    assert.equal(nodes.length, 1);
    assert.equal((await infoOf(h1)).Managers, 1);
    assert.equal(h2.daemonPid, pid, 'the daemon is the same');
    assert.ok(!existsSync(`${h2.dataRoot}/swarm/membership.json`));
    assert.equal((await infoOf(h2)).LocalNodeState, 'inactive');
  });
});
