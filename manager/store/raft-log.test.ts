import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRaftLog } from '../../test/contract/raft-log.ts';
import { describeKills } from '../../test/contract/store-kill.ts';
import { describeStoreLog } from '../../test/contract/store-log.ts';

const segmentBytes = 64 << 10;

describeStoreLog('RaftLog', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raft-log-'));
  return {
    open: ({ maxPending, ...options }) =>
      openRaftLog(folder, {
        segmentBytes,
        ...options,
        ...(maxPending === undefined ? {} : { maxProposals: maxPending }),
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});

describeKills('RaftLog', (folder) => openRaftLog(folder, { segmentBytes: 256 << 10 }));
