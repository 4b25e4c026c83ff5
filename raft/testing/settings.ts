/** The first line of a transcript's scene: who is there, and how they are configured. */
import { type ConfState, type NodeId, type RaftConfig } from '../core/index.ts';
import { parseConf } from './parse-message.ts';

interface Scene {
  readonly conf: ConfState;
  readonly config: (id: NodeId) => RaftConfig;
}

const switches = { on: true, off: false } as const;

/**
 * "3", "1 2 3 ~4", then what is not as usual: election=10 heartbeat=1 timeouts=10,12,15 seed=1
 * prevote=off checkquorum=off lease=off forward=on append=BYTES inflight=N apply=BYTES
 * uncommitted=BYTES.
 */
export function parseScene(words: readonly string[]): Scene {
  const members = words.filter((word) => !word.includes('='));
  const options = new Map(
    words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]),
  );
  const number = (name: string, usual: number) => Number(take(options, name) ?? usual);
  const isOn = (name: string, usual: keyof typeof switches) =>
    switches[(take(options, name) ?? usual) as keyof typeof switches];
  const electionTicks = number('election', 10);
  const random = makeRandom(options, electionTicks);
  const common = {
    electionTicks,
    heartbeatTicks: number('heartbeat', 1),
    maxAppendBytes: number('append', Infinity),
    maxInflight: number('inflight', 256),
    maxApplyBytes: number('apply', Infinity),
    maxUncommittedBytes: number('uncommitted', Infinity),
    preVote: isOn('prevote', 'off'),
    checkQuorum: isOn('checkquorum', 'off'),
    reads: isOn('lease', 'off') ? ('lease' as const) : ('quorum' as const),
    forwardProposals: isOn('forward', 'on'),
  };
  const [unknown] = options.keys();
  if (unknown !== undefined) throw new SyntaxError(`there is no option ${unknown}`);
  return { conf: parseMembers(members), config: (id) => ({ ...common, id, random: random(id) }) };
}

function take(options: Map<string, string>, name: string): string | undefined {
  const value = options.get(name);
  options.delete(name);
  return value;
}

function parseMembers(words: readonly string[]): ConfState {
  const count = words.length === 1 ? Number(words[0]) : 0;
  if (!(count > 1)) return parseConf(words);
  return parseConf(Array.from({ length: count }, (_, position) => String(position + 1)));
}

/** Election time-outs: as given by node, from a seed, or the shortest for all. */
function makeRandom(
  options: Map<string, string>,
  electionTicks: number,
): (id: NodeId) => (below: number) => number {
  const timeouts = take(options, 'timeouts')?.split(',').map(Number);
  const seed = take(options, 'seed');
  return (id) => {
    if (seed !== undefined) return seededRandom(Number(seed) + Number(id));
    const timeout = timeouts?.[Number(id) - 1] ?? electionTicks;
    return () => timeout - electionTicks;
  };
}

/** The upper bits of a linear congruential generator. */
function seededRandom(seed: number): (below: number) => number {
  let state = Math.imul(seed, 0x9e37_79b1) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
