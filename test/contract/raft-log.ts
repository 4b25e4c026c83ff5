/** The log on Raft as a manager alone has it, on the real disk. */
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { RaftLog, type RaftLogOptions } from '../../manager/store/index.ts';
import { nodeDisk, type Cipher } from '../../raft/index.ts';

export function openRaftLog(
  folder: string,
  options: Partial<RaftLogOptions> = {},
  cipher?: Cipher,
): RaftLog {
  const alone = { id: 'manager1', folder, bootstrap: true, tickMs: 5, electionTicks: 4 };
  return new RaftLog(
    { ...alone, ...options },
    {
      disk: nodeDisk,
      ...(cipher === undefined ? {} : { cipher }),
      clock: realClock,
      random: seededRandom(1),
      log: silentLogger,
      transport: {
        send: ({ to }) => {
          throw new Error(`a manager alone sent a message to ${to}`);
        },
        sendSnapshot: ({ to }) => Promise.reject(new Error(`it sent a snapshot to ${to}`)),
      },
      onFailure: (error) => {
        throw error;
      },
    },
  );
}
