/**
 * The data plane beside Docker's on the same hosts in the same run: bytes over the overlay, requests
 * through VIPs and the routing mesh, what an overlay adds to a task's start, how soon changes are
 * known, and what hundreds of endpoints cost.
 *
 * Docker's VIPs and mesh need IP_VS, which the kernel may lack: its services are dnsrr here, and of
 * VIPs and mesh there are only our figures, beside direct connections.
 *
 * Flags: --only=docker|ours, --parts=throughput,requests,starts,visibility,crowd, --rounds=N (5; of
 * throughput, requests and starts), --changes=N (60; rounds of visibility), --endpoints=N (500).
 */
import { messageOf } from '../lib/errors.ts';
import type { BenchOptions, BenchResult, Metrics } from './bench.ts';
import { crowd } from './network/crowd.ts';
import { requests } from './network/requests.ts';
import { starts } from './network/starts.ts';
import { throughput } from './network/throughput.ts';
import { visibility } from './network/visibility.ts';
import { dockerSwarm, tsSwarm, type Swarm } from './swarm/swarm.ts';

interface Amounts {
  readonly rounds: number;
  readonly changes: number;
  readonly endpoints: number;
}

const parts: Readonly<Record<string, (swarm: Swarm, amounts: Amounts) => Promise<Metrics>>> = {
  throughput: (swarm, { rounds }) => throughput(swarm, rounds),
  requests: (swarm, { rounds }) => requests(swarm, rounds),
  starts: (swarm, { rounds }) => starts(swarm, rounds),
  visibility: (swarm, { changes }) => visibility(swarm, changes),
  crowd: (swarm, { endpoints }) => crowd(swarm, endpoints),
};

/** Docker takes seconds where we take a fraction: fewer rounds tell its figures. */
const dockerShare = 3;

export const flagNames = ['only', 'parts', 'rounds', 'changes', 'endpoints'] as const;

export async function run({ flags, say }: BenchOptions): Promise<BenchResult> {
  const names = flags['parts']?.split(',') ?? Object.keys(parts);
  const amounts = {
    rounds: Number(flags['rounds'] ?? 5),
    changes: Number(flags['changes'] ?? 60),
    endpoints: Number(flags['endpoints'] ?? 500),
  };
  const fewer = {
    ...amounts,
    rounds: Math.ceil(amounts.rounds / dockerShare),
    changes: Math.ceil(amounts.changes / dockerShare),
  };
  const ours: Record<string, number> = {};
  const peer: Record<string, number> = {};
  // Part by part, so that both sides of a figure meet the machine in the same state.
  for (const name of names) {
    const part = parts[name];
    if (part === undefined) throw new Error(`--parts knows ${Object.keys(parts).join(', ')}`);
    const measure = async (swarm: Swarm, of: Amounts, into: Record<string, number>) => {
      const metrics = await part(swarm, of).catch((error: unknown) => {
        // A quarter of an hour of figures is not to be lost by one mishap; a second one ends it.
        say(`${swarm.name}: ${name} failed, and is tried once more: ${messageOf(error)}`);
        return part(swarm, of);
      });
      for (const [key, value] of Object.entries(metrics)) {
        into[key] = value;
        say(`${swarm.name}: ${key} ${value.toPrecision(3)}`);
      }
    };
    if (flags['only'] !== 'docker') await measure(tsSwarm, amounts, ours);
    if (flags['only'] !== 'ours') await measure(dockerSwarm('runc'), fewer, peer);
  }
  const isWhole = flags['parts'] === undefined && flags['only'] === undefined;
  return { ...(isWhole ? {} : { recordAs: 'network-partly' }), ours, peer };
}
