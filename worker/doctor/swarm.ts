/** How this node stands with its swarm: judged from what the daemon knows. */
import { finding, type Finding } from './finding.ts';

export interface SwarmFacts {
  readonly state: 'inactive' | 'pending' | 'active' | 'error' | 'locked';
  readonly error: string;
  readonly nodeId: string;
  /** The manager that this node has a session with. */
  readonly manager?: string;
  /** The TCP port by which other nodes reach it, where it is a manager. */
  readonly listensOn?: number;
  /** How far this host's clock is ahead of that manager's; known to half of `roundTripMs`. */
  readonly clock?: { readonly aheadMs: number; readonly roundTripMs: number };
}

/** Certificates and the times in logs are what suffers from clocks that differ. */
const clockWarningMs = 1_000;
const clockErrorMs = 30_000;

export function judgeSwarm(facts: SwarmFacts): readonly Finding[] {
  const { state, error, manager } = facts;
  const reason = error === '' ? '' : `: ${error}`;
  switch (state) {
    case 'inactive':
      return [finding('swarm', 'ok', 'this host is in no swarm')];
    case 'locked':
      return [finding('swarm', 'error', 'this manager is locked: unlock it with its key')];
    case 'error':
      return [finding('swarm', 'error', `this node cannot take part in the swarm${reason}`)];
    case 'pending':
      return [finding('swarm', 'warning', `this node has no session with a manager${reason}`)];
    case 'active':
      break;
  }
  if (manager === undefined) {
    const text = `this node has no session with a manager${reason}; its containers run on`;
    return [finding('swarm', 'warning', text)];
  }
  const inTouch = `this node is in touch with the manager at ${manager}`;
  return [finding('swarm', 'ok', inTouch), ...judgeClock(facts)];
}

function judgeClock({ clock, manager }: SwarmFacts): readonly Finding[] {
  if (clock === undefined) return [];
  const { aheadMs, roundTripMs } = clock;
  const surelyMs = Math.max(0, Math.abs(aheadMs) - roundTripMs / 2);
  if (surelyMs < clockWarningMs) {
    return [finding('clock', 'ok', 'the clock agrees with that of the manager')];
  }
  const seconds = (surelyMs / 1000).toFixed(1);
  const direction = aheadMs > 0 ? 'ahead of' : 'behind';
  const level = surelyMs < clockErrorMs ? 'warning' : 'error';
  const text =
    `the clock is ${seconds} s ${direction} that of the manager at ${manager}: run NTP on both; ` +
    'certificates are refused where clocks differ by much';
  return [finding('clock', level, text)];
}

/** How full the kernel's table of connections is. */
export function judgeConnections(count: number, max: number): readonly Finding[] {
  if (!(max > 0)) return [];
  const percent = Math.round((100 * count) / max);
  if (percent < 80) {
    return [finding('limits', 'ok', `the table of connections is ${percent} % full`)];
  }
  const text =
    `the table of connections is ${percent} % full (${count} of ${max}); new connections are ` +
    'dropped when it is full: raise net.netfilter.nf_conntrack_max';
  return [finding('limits', percent < 95 ? 'warning' : 'error', text)];
}

/** What audits have put right since the daemon began. */
export function judgeRepairs(repairs: ReadonlyMap<string, number>): readonly Finding[] {
  const total = [...repairs.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) {
    return [finding('repairs', 'ok', 'nothing of the networks had to be put right')];
  }
  const kinds = [...repairs].map(([kind, count]) => `${count} ${kind}`).join(', ');
  const text =
    `${total} things of the networks were put right since the daemon started (${kinds}): another ` +
    'program changes them; the daemon’s log says what it was each time';
  return [finding('repairs', 'warning', text)];
}
