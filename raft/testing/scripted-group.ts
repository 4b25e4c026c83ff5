/** The nodes of a transcript and what is under way between them. Nothing happens by itself. */
import {
  type ConfState,
  type Entry,
  type Message,
  type NodeId,
  type RaftConfig,
} from '../core/index.ts';
import { emptyDisk, ScriptedNode, type DiskState } from './scripted-node.ts';
import { dataWords, messageWords } from './words.ts';

export type Filter = (message: Message) => boolean;

/** More than any transcript needs: nodes that never fall silent. */
const maxMessages = 10_000;

export class ScriptedGroup {
  readonly nodes = new Map<NodeId, ScriptedNode>();
  readonly conf: ConfState;
  readonly #config: (id: NodeId) => RaftConfig;
  readonly #say: (line: string) => void;
  #queue: Message[] = [];
  #held: Message[] = [];
  #cut = new Set<string>();
  #requests = 0;
  /** What was applied at each index, by whoever was first. */
  readonly #applied: Entry[] = [];
  #leaders = new Map<number, NodeId>();

  constructor(conf: ConfState, config: (id: NodeId) => RaftConfig, say: (line: string) => void) {
    this.conf = conf;
    this.#config = config;
    this.#say = say;
    for (const id of [...conf.voters, ...conf.learners]) this.add(id, emptyDisk(), conf);
  }

  /** A node that starts with what is on this disk; one of that name is replaced. */
  add(id: NodeId, disk: DiskState, conf: ConfState): void {
    const node = new ScriptedNode(this.#config(id), disk, conf, {
      say: this.#say,
      send: (message) => this.#send(message),
    });
    this.nodes.set(id, node);
    node.do(() => {});
  }

  node(id: NodeId): ScriptedNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new SyntaxError(`there is no node ${id}`);
    return node;
  }

  get nextRequest(): number {
    return ++this.#requests;
  }

  /** Delivers what is under way now, and with `all` also what follows from it. */
  deliver(filter: Filter, all: boolean): void {
    for (let count = 0; count < maxMessages; count++) {
      const now = this.#queue.filter(filter);
      if (now.length === 0) return;
      this.#queue = this.#queue.filter((message) => !now.includes(message));
      for (const message of now) this.step(message);
      if (!all) return;
    }
    throw new RangeError('the nodes do not fall silent');
  }

  step(message: Message): void {
    this.nodes.get(message.to)?.do((raft) => raft.step(message));
    this.check();
  }

  /** Returns what was dropped. */
  drop(filter: Filter): readonly Message[] {
    const dropped = this.#queue.filter(filter);
    this.#queue = this.#queue.filter((message) => !dropped.includes(message));
    return dropped;
  }

  hold(filter: Filter): void {
    this.#held.push(...this.drop(filter));
  }

  release(): void {
    this.#queue.push(...this.#held.splice(0));
  }

  double(filter: Filter): void {
    this.#queue.push(...this.#queue.filter(filter));
  }

  get pending(): readonly Message[] {
    return this.#queue;
  }

  cut(links: readonly (readonly [NodeId, NodeId])[]): void {
    for (const [from, to] of links) this.#cut.add(`${from}->${to}`);
  }

  mend(): void {
    this.#cut.clear();
  }

  /** What must be true at any time (paper, figure 3). */
  check(): void {
    for (const { id, raft, applied, isUp } of this.nodes.values()) {
      const { role, term } = raft.status;
      if (isUp && role === 'leader') {
        const known = this.#leaders.get(term) ?? id;
        if (known !== id) throw new Error(`both ${known} and ${id} lead in term ${term}`);
        this.#leaders.set(term, id);
      }
      for (const entry of applied) this.#checkApplied(id, entry);
    }
  }

  #checkApplied(id: NodeId, entry: Entry): void {
    const known = this.#applied[entry.index];
    this.#applied[entry.index] ??= entry;
    if (known === undefined || known === entry) return;
    if (known.term === entry.term && dataWords(known) === dataWords(entry)) return;
    throw new Error(`${id} has applied another entry ${entry.index} than others`);
  }

  #send(message: Message): void {
    const { from, to } = message;
    const isLost = this.#cut.has(`${from}->${to}`) || this.nodes.get(to)?.isUp !== true;
    this.#say(`${messageWords(message)}${isLost ? ' (lost)' : ''}`);
    if (!isLost) this.#queue.push(message);
  }
}
