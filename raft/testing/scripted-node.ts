/** One node of a transcript: the bare core, and a disk whose writes end when the script says so. */
import {
  InvariantError,
  Raft,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  type RaftConfig,
  type Ready,
  type SnapshotMeta,
} from '../core/index.ts';
import { confWords, entryWords } from './words.ts';

/** What is durable. */
export interface DiskState {
  hardState: HardState;
  snapshot: SnapshotMeta | undefined;
  /** Those behind the snapshot, or behind what was compacted. */
  entries: readonly Entry[];
}

interface NodeEvents {
  say(line: string): void;
  send(message: Message): void;
}

export class ScriptedNode {
  readonly id: string;
  readonly #config: RaftConfig;
  readonly #events: NodeEvents;
  readonly disk: DiskState;
  raft: Raft;
  /** The last entry that was applied, and everything before it. */
  applied: Entry[] = [];
  isUp = true;
  /** A disk that writes when it is told to. */
  isSlow = false;
  readonly #writes: Ready[] = [];
  #role = '';

  constructor(config: RaftConfig, disk: DiskState, conf: ConfState, events: NodeEvents) {
    this.id = config.id;
    this.#config = config;
    this.#events = events;
    this.disk = disk;
    this.raft = this.#start(conf);
    this.#role = this.#roleWords;
  }

  get writesWaiting(): number {
    return this.#writes.length;
  }

  /** Calls into the core, and does all that it then asks for. */
  do<T>(work: (raft: Raft) => T): T | undefined {
    if (!this.isUp) return undefined;
    try {
      const result = work(this.raft);
      this.#drive();
      return result;
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      this.#events.say(`${this.id} stops: ${error.message}`);
      this.isUp = false;
      return undefined;
    }
  }

  /** The oldest write that waits is durable. */
  sync(): void {
    const ready = this.#writes.shift();
    if (ready === undefined) return;
    this.#persist(ready);
    this.do((raft) => {
      ready.messagesAfterPersist.forEach((message) => this.#events.send(message));
      raft.persisted(ready.number);
    });
  }

  /** What was not durable is lost. */
  crash(): void {
    this.isUp = false;
    this.#writes.length = 0;
  }

  restart(conf: ConfState): void {
    this.isUp = true;
    this.raft = this.#start(conf);
    this.#role = this.#roleWords;
    this.do(() => {});
  }

  /** Makes a snapshot of an applied index; the log keeps what follows `compactTo`. */
  compact(index: number, compactTo: number): void {
    this.do((raft) => {
      const term = raft.termOf(index) ?? 0;
      const snapshot = { index, term, conf: raft.status.conf };
      raft.compact(snapshot, compactTo);
      this.disk.snapshot = snapshot;
      this.disk.entries = this.disk.entries.filter((entry) => entry.index > compactTo);
    });
  }

  #start(conf: ConfState): Raft {
    const { snapshot, hardState, entries } = this.disk;
    this.applied = [];
    const from = snapshot?.index ?? 0;
    return new Raft(this.#config, {
      hardState,
      entries: entries.filter(({ index }) => index > from),
      ...(snapshot === undefined ? { conf } : { snapshot }),
    });
  }

  #drive(): void {
    while (this.raft.hasReady) {
      const ready = this.raft.ready();
      this.#tellRole();
      for (const message of ready.messages) this.#events.send(message);
      if (ready.snapshot !== undefined) this.#restored(ready.snapshot);
      this.#apply(ready.committed);
      if (ready.conf !== undefined) {
        this.#events.say(`${this.id} is in the group ${confWords(ready.conf)}`);
      }
      for (const { requestId, index } of ready.reads) {
        this.#events.say(`${this.id} may read at ${index}: request ${requestId}`);
      }
      this.#writes.push(ready);
      if (!this.isSlow) this.#syncAll();
      else if (isWrite(ready)) this.#events.say(`${this.id} writes${writeWords(ready)}`);
      else this.#passThrough();
    }
  }

  #syncAll(): void {
    for (let ready = this.#writes.shift(); ready !== undefined; ready = this.#writes.shift()) {
      this.#persist(ready);
      for (const message of ready.messagesAfterPersist) this.#events.send(message);
      this.raft.persisted(ready.number);
    }
  }

  /** What has nothing for the disk waits for what has. */
  #passThrough(): void {
    while (this.#writes[0] !== undefined && !isWrite(this.#writes[0])) {
      const { number, messagesAfterPersist } = this.#writes.shift() as Ready;
      for (const message of messagesAfterPersist) this.#events.send(message);
      this.raft.persisted(number);
    }
  }

  #persist({ snapshot, entries, hardState }: Ready): void {
    if (snapshot !== undefined) {
      this.disk.snapshot = snapshot;
      this.disk.entries = [];
    }
    const [first] = entries;
    if (first !== undefined) {
      const kept = this.disk.entries.filter(({ index }) => index < first.index);
      this.disk.entries = [...kept, ...entries];
    }
    this.disk.hardState = hardState ?? this.disk.hardState;
  }

  #restored(snapshot: SnapshotMeta): void {
    this.#events.say(`${this.id} takes the snapshot ${snapshot.index}@${snapshot.term}`);
    this.applied = [];
  }

  #apply(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.applied.push(...entries);
    this.#events.say(`${this.id} applies ${entries.map(entryWords).join(', ')}`);
  }

  get #roleWords(): string {
    const { role, term, leader } = this.raft.status;
    const follows = role === 'follower' && leader !== '' ? ` of ${leader}` : '';
    return `${role}${follows}, term ${term}`;
  }

  #tellRole(): void {
    const words = this.#roleWords;
    if (words !== this.#role) this.#events.say(`${this.id} is ${words}`);
    this.#role = words;
  }
}

function isWrite({ snapshot, entries, hardState }: Ready): boolean {
  return snapshot !== undefined || entries.length > 0 || hardState !== undefined;
}

function writeWords({ snapshot, entries, hardState }: Ready): string {
  const { term, vote, commit } = hardState ?? {};
  const state = hardState && ` term ${term} vote ${vote || 'none'} commit ${commit}`;
  return [
    snapshot === undefined ? '' : ` snapshot ${snapshot.index}`,
    ...entries.map((entry) => ` ${entryWords(entry)}`),
    state ?? '',
  ]
    .filter((part) => part !== '')
    .join(',');
}

export function emptyDisk(): DiskState {
  return { hardState: { term: 0, vote: '', commit: 0 }, snapshot: undefined, entries: [] };
}
