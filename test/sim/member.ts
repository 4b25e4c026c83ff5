/** One node of a simulation, whatever drives its state machine. */
import type { ConfChange, ConfState, Message, NodeId, RaftConfig, Role } from '../../raft/index.ts';
import type { Agenda } from './agenda.ts';
import type { Dice } from './dice.ts';
import type { Settings } from './settings.ts';
import type { Witness } from './witness.ts';

export interface MemberStatus {
  readonly term: number;
  readonly role: Role;
  readonly leader: NodeId;
  readonly conf: ConfState;
  readonly committed: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly appliedIndex: number;
}

/**
 * - `done`: it was. - `refused`: it was not, and never will be. - `unknown`: it may have been.
 */
export type Outcome = 'done' | 'refused' | 'unknown';

export interface Member {
  readonly id: NodeId;
  readonly isUp: boolean;
  readonly isLeader: boolean;
  /** Undefined while it is down. */
  readonly status: MemberStatus | undefined;
  readonly digest: string;
  start(): void;
  /** The power goes: what was not synced is lost in part or whole. */
  crash(): void;
  tick(): void;
  receive(message: Message, snapshotData?: Uint8Array): void;
  write(command: { id: number; key: string; value: string }, done: (how: Outcome) => void): void;
  read(key: string, done: (how: Outcome, value: string) => void): void;
  changeMembership(change: ConfChange): void;
  transfer(to: NodeId): void;
  campaign(): void;
  reportUnreachable(id: NodeId): void;
  /** The disk takes nothing more, or takes it again. */
  fillDisk(isFull: boolean): void;
  /** The disk is as fast as it can be from now on. */
  calm(): void;
  /** Tells the witness what can be seen from outside. */
  observe(): void;
}

export interface Surroundings {
  readonly settings: Settings;
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly witness: Witness;
  /** The voters that the group starts with. */
  readonly founders: readonly NodeId[];
  send(message: Message, snapshotData?: Uint8Array): void;
  /** Sends a snapshot; tells whether it arrived. */
  sendSnapshot(message: Message, data: Uint8Array, done: (delivered: boolean) => void): void;
  trace(id: NodeId, what: string): void;
  /** Ends the run. */
  fail(error: Error): void;
}

export function raftConfig(id: NodeId, { settings, dice }: Surroundings): RaftConfig {
  return { ...settings.raft, id, random: (below) => dice.below(below) };
}
