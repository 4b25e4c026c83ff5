import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { AssignedVolume } from '../../types/index.ts';
import { ClusterVolumes } from './cluster-volumes.ts';

const attachments = [{ id: 'v', source: 'v', target: '/data', isWriter: true }];
const mounts = [{ type: 'cluster' as const, source: 'v', target: '/data' }];
const nothing = { complete: false, update: [], remove: [] };

function given(publication: string): AssignedVolume {
  return {
    id: 'v',
    name: 'v',
    driver: 'd',
    volumeId: 'id-v',
    publication,
    accessMode: { scope: 'single', sharing: 'none', mountVolume: {} },
    volumeContext: {},
    publishContext: { lun: publication },
    secrets: {},
  };
}

describe('ClusterVolumes', () => {
  let folder: string;
  let calls: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csi-'));
    calls = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A driver that notes what it is asked for. */
  const client = {
    async nodePublishVolume(asked: { targetPath: string; publishContext: { lun: string } }) {
      mkdirSync(asked.targetPath, { recursive: true });
      calls.push(`mount ${asked.publishContext.lun}`);
    },
    async nodeUnpublishVolume() {
      calls.push('unmount');
    },
  };
  const driver = {
    capabilities: { stages: false },
    ask: (_service: unknown, call: (made: typeof client, options: object) => unknown) =>
      call(client, {}),
  };
  const open = () => {
    const drivers = { get: async () => driver as never };
    const clock = new VirtualClock();
    const volumes = new ClusterVolumes({ drivers, folder, clock, log: silentLogger });
    volumes.onReleased((id, publication) => calls.push(`released ${id} ${publication}`));
    return volumes;
  };
  const connect = (volumes: ClusterVolumes, containerId: string) =>
    volumes.connect(containerId, mounts, attachments, AbortSignal.timeout(60_000));

  it('are let go of once no container has them, and the managers are told', async () => {
    using volumes = open();
    volumes.assign({ ...nothing, update: [given('p1')] });
    await connect(volumes, 'one');
    volumes.assign({ ...nothing, remove: [{ id: 'v', publication: 'p1' }] });
    for (let i = 0; i < 20; i++) await turn();
    assert.deepEqual(calls, ['mount p1']);
    volumes.disconnect('one');
    await volumes.settled();
    assert.deepEqual(calls, ['mount p1', 'unmount', 'released v p1']);
  });

  it('were taken from the node and are given anew: the old mount goes first', async () => {
    {
      using former = open();
      former.assign({ ...nothing, update: [given('p1')] });
      await connect(former, 'one');
    }
    // The daemon has ended, and the managers took the volume from the node meanwhile.
    using volumes = open();
    volumes.adopt('one', attachments);
    volumes.assign({ complete: true, update: [given('p2')], remove: [] });
    const next = connect(volumes, 'two');
    for (let i = 0; i < 20; i++) await turn();
    assert.deepEqual(calls, ['mount p1'], 'a container has it still');
    volumes.disconnect('one');
    await next;
    assert.deepEqual(calls, ['mount p1', 'unmount', 'mount p2']);
  });

  it('say that they are let go of also where nothing was mounted', async () => {
    using volumes = open();
    volumes.assign({ complete: true, update: [], remove: [{ id: 'v', publication: 'p1' }] });
    await volumes.settled();
    assert.deepEqual(calls, ['released v p1']);
  });
});
