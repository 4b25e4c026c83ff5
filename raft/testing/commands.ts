/** The language of transcripts, command by command. README.md in raft/core/testdata explains it. */
import {
  ConfChangeError,
  InvariantError,
  type ConfChange,
  type Dropped,
  type Entry,
  type NodeId,
} from '../core/index.ts';
import {
  parseData,
  parseLink,
  parseMessage,
  parsePlace,
  parseStep,
  nodeIdOf,
} from './parse-message.ts';
import { emptyDisk, type DiskState } from './scripted-node.ts';
import { ScriptedGroup, type Filter } from './scripted-group.ts';
import { parseScene } from './settings.ts';
import { confWords, dataWords, messageWords } from './words.ts';

export interface Stage {
  group: ScriptedGroup;
  readonly say: (line: string) => void;
  /** Does work of which nothing is said. */
  quietly(work: () => void): void;
}

type Command = (stage: Stage, words: readonly string[], line: string) => void;

/** "1->2", "1->*", "*->2", a type of message, or nothing for all. */
function parseFilter(words: readonly string[]): Filter {
  const filters = words.map((word): Filter => {
    if (!word.includes('->')) return ({ type }) => type === word;
    const { from, to } = parseLink(word);
    return (message) =>
      (from === '*' || from === message.from) && (to === '*' || to === message.to);
  });
  return (message) => filters.every((filter) => filter(message));
}

function idsOf({ group }: Stage, words: readonly string[]): readonly NodeId[] {
  return words.length === 0 || words[0] === 'all' ? [...group.nodes.keys()] : words;
}

function tell({ say }: Stage, id: NodeId, dropped: Dropped | undefined): void {
  if (dropped !== undefined) say(`${id} refuses: ${dropped}`);
}

/** "1->2" both ways, or "1" for all of its links. */
function linksOf({ group }: Stage, words: readonly string[]): (readonly [NodeId, NodeId])[] {
  return words.flatMap((word): (readonly [NodeId, NodeId])[] => {
    if (word.includes('->')) {
      const { from, to } = parseLink(word);
      return [[from, to]];
    }
    const others = [...group.nodes.keys()].filter((id) => id !== word);
    return others.flatMap((other) => [[word, other] as const, [other, word] as const]);
  });
}

function parseChange(words: readonly string[]): ConfChange {
  if (words[0] === 'leave') return { steps: [], transition: 'auto' };
  const steps = words.filter((word) => /^[+~-]/.test(word)).map(parseStep);
  const rest = words.filter((word) => !/^[+~-]/.test(word));
  const kind = rest[0] === 'joint' || rest[0] === 'joint-explicit' ? rest[0] : 'auto';
  return { steps, transition: kind };
}

/** term=2 vote=1 commit=3 log=1,1,2 snapshot=4@1: what a node has on its disk. */
function parseDisk(words: readonly string[], { group }: Stage): DiskState {
  const disk = emptyDisk();
  const options = new Map(words.map((word) => word.split('=') as [string, string]));
  const snapshot = options.get('snapshot');
  if (snapshot !== undefined) disk.snapshot = { ...parsePlace(snapshot), conf: group.conf };
  const from = disk.snapshot?.index ?? 0;
  const terms = options.get('log')?.split(',').map(Number) ?? [];
  const data = parseData('e');
  disk.entries = terms.map((term, at): Entry => {
    return { index: from + at + 1, term, kind: 'normal', data };
  });
  const term = Number(options.get('term') ?? terms.at(-1) ?? disk.snapshot?.term ?? 0);
  const commit = Number(options.get('commit') ?? from);
  disk.hardState = { term, vote: options.get('vote') ?? '', commit };
  return disk;
}

const aboutNodes: Record<string, Command> = {
  /** Puts a node with this disk in the place of the one of that name; `new`: no member yet. */
  node(stage, [id, ...rest]) {
    const { conf } = stage.group;
    const others = {
      ...conf,
      voters: conf.voters.filter((node) => node !== id),
      learners: conf.learners.filter((node) => node !== id),
    };
    const words = rest.filter((word) => word !== 'new');
    const known = words.length < rest.length ? others : conf;
    stage.group.add(nodeIdOf(id), parseDisk(words, stage), known);
  },
  campaign({ group }, ids) {
    for (const id of ids) group.node(id).do((raft) => raft.campaign());
  },
  /** The same, and everything that follows until it leads. */
  elect(stage, [id]) {
    const { group, say } = stage;
    const node = group.node(nodeIdOf(id));
    stage.quietly(() => {
      node.do((raft) => raft.campaign());
      group.deliver(() => true, true);
    });
    const { role, term } = node.raft.status;
    say(role === 'leader' ? `${id} leads in term ${term}` : `${id} is ${role} in term ${term}`);
  },
  tick(stage, [who = 'all', times = '1']) {
    for (let count = 0; count < Number(times); count++) {
      for (const id of idsOf(stage, [who])) stage.group.node(id).do((raft) => raft.tick());
    }
  },
  /** Ticks of all, with everything delivered after each. */
  run({ group }, [times = '1']) {
    for (let count = 0; count < Number(times); count++) {
      for (const node of group.nodes.values()) node.do((raft) => raft.tick());
      group.deliver(() => true, true);
    }
  },
  crash({ group }, ids) {
    for (const id of ids) group.node(id).crash();
  },
  restart({ group }, ids) {
    for (const id of ids) group.node(id).restart(group.conf);
  },
  disk({ group }, [id, how]) {
    const node = group.node(nodeIdOf(id));
    node.isSlow = how === 'slow';
    while (!node.isSlow && node.writesWaiting > 0) node.sync();
  },
  /** Lets writes of a slow disk end: one, or so many. */
  sync({ group }, [id, times = '1']) {
    for (let count = 0; count < Number(times); count++) group.node(nodeIdOf(id)).sync();
  },
  /** Makes a snapshot of what is applied; the log keeps what is behind it, or behind `from`. */
  compact({ group }, [id, index, from = index]) {
    group.node(nodeIdOf(id)).compact(Number(index), Number(from));
  },
  unreachable({ group }, [id, peer]) {
    group.node(nodeIdOf(id)).do((raft) => raft.reportUnreachable(nodeIdOf(peer)));
  },
  /** The snapshot to the peer has arrived, or not. */
  delivered({ group }, [id, peer]) {
    group.node(nodeIdOf(id)).do((raft) => raft.reportSnapshot(nodeIdOf(peer), true));
  },
  undelivered({ group }, [id, peer]) {
    group.node(nodeIdOf(id)).do((raft) => raft.reportSnapshot(nodeIdOf(peer), false));
  },
  'stand-still'({ group }, [id]) {
    group.node(nodeIdOf(id)).do((raft) => raft.clockStopped());
  },
};

const aboutRequests: Record<string, Command> = {
  /** Together, as what comes in one turn of a driver. */
  propose(stage, [id, ...values]) {
    const node = stage.group.node(nodeIdOf(id));
    const refused = node.do((raft) => values.map((value) => raft.propose(parseData(value))));
    for (const dropped of refused ?? []) tell(stage, node.id, dropped);
  },
  change(stage, [id, ...words]) {
    const node = stage.group.node(nodeIdOf(id));
    try {
      tell(
        stage,
        node.id,
        node.do((raft) => raft.proposeConfChange(parseChange(words))),
      );
    } catch (error) {
      if (!(error instanceof ConfChangeError)) throw error;
      stage.say(`${node.id} refuses: ${error.message}`);
    }
  },
  read(stage, [id]) {
    const node = stage.group.node(nodeIdOf(id));
    const { nextRequest } = stage.group;
    tell(
      stage,
      node.id,
      node.do((raft) => raft.readIndex(nextRequest)),
    );
  },
  transfer(stage, [id, to]) {
    const node = stage.group.node(nodeIdOf(id));
    tell(
      stage,
      node.id,
      node.do((raft) => raft.transferLeadership(nodeIdOf(to))),
    );
  },
  'step-down'({ group }, [id]) {
    group.node(nodeIdOf(id)).do((raft) => raft.stepDown());
  },
};

const aboutMessages: Record<string, Command> = {
  /** All that is under way, and all that follows; `once`: only what is under way now. */
  deliver({ group }, words) {
    const isOnce = words.includes('once');
    group.deliver(parseFilter(words.filter((word) => word !== 'once')), !isOnce);
  },
  drop({ group }, words) {
    group.drop(parseFilter(words));
  },
  /** Keeps what is under way until `release`. */
  hold({ group }, words) {
    group.hold(parseFilter(words));
  },
  release({ group }) {
    group.release();
  },
  double({ group }, words) {
    group.double(parseFilter(words));
  },
  /** What is sent over these links from now on is lost: "1" for all of its links, "1->2" for one. */
  cut(stage, words) {
    stage.group.cut(linksOf(stage, words));
  },
  mend({ group }) {
    group.mend();
  },
  /** A message out of the blue, in the words in which messages are printed. */
  step({ group }, _words, line) {
    group.step(parseMessage(line));
  },
  pending({ group, say }) {
    for (const message of group.pending) say(messageWords(message));
  },
};

const aboutState: Record<string, Command> = {
  status(stage, words) {
    for (const id of idsOf(stage, words)) {
      const { isUp, raft } = stage.group.node(id);
      const { role, term, leader, committed, applied, firstIndex, lastIndex } = raft.status;
      const follows = role === 'follower' && leader !== '' ? ` of ${leader}` : '';
      const log = `log ${firstIndex}..${lastIndex}, committed ${committed}, applied ${applied}`;
      stage.say(isUp ? `${id} ${role}${follows}, term ${term}, ${log}` : `${id} is down`);
    }
  },
  /** Every entry, with a bar behind the last one that is committed. */
  log(stage, words) {
    for (const id of idsOf(stage, words)) stage.say(`${id}: ${logWords(stage, id)}`);
  },
  conf(stage, words) {
    for (const id of idsOf(stage, words)) {
      stage.say(`${id}: ${confWords(stage.group.node(id).raft.status.conf)}`);
    }
  },
  progress({ group, say }, [id]) {
    const { raft } = group.node(nodeIdOf(id));
    for (const other of group.nodes.keys()) {
      const progress = other === id ? undefined : raft.progressOf(other);
      if (progress === undefined) continue;
      const { mode, match, next, isPaused } = progress;
      say(`${other} ${mode}, match ${match}, next ${next}${isPaused ? ', paused' : ''}`);
    }
  },
};

function logWords({ group }: Stage, id: NodeId): string {
  const { raft, applied, disk } = group.node(id);
  const { firstIndex, lastIndex, committed } = raft.status;
  const known = new Map([...disk.entries, ...applied].map((entry) => [entry.index, entry]));
  const words: string[] = firstIndex > 1 ? [`...${firstIndex - 1}`] : [];
  if (committed < firstIndex) words.push('|');
  for (let index = firstIndex; index <= lastIndex; index++) {
    const entry = known.get(index);
    const data = entry?.term === raft.termOf(index) ? ` ${dataWords(entry as Entry)}` : '';
    words.push(`${index}@${raft.termOf(index)}${data}${index < lastIndex ? ',' : ''}`);
    if (index === committed) words.push('|');
  }
  return words.join(' ');
}

const commands: Readonly<Record<string, Command>> = {
  ...aboutNodes,
  ...aboutRequests,
  ...aboutMessages,
  ...aboutState,
};

/** A new scene: what was before is forgotten. */
function makeGroup(stage: Stage, words: readonly string[]): void {
  const { conf, config } = parseScene(words);
  try {
    stage.quietly(() => {
      stage.group = new ScriptedGroup(conf, config, stage.say);
    });
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    stage.say(`there can be no such group: ${error.message}`);
  }
}

/** Throws SyntaxError for what is no command. */
export function runCommand(stage: Stage, line: string): void {
  const isQuiet = line.endsWith(' quietly');
  const text = isQuiet ? line.slice(0, -' quietly'.length) : line;
  const [name = '', ...words] = text.split(' ');
  if (name === 'group') {
    makeGroup(stage, words);
    return;
  }
  const command = commands[name];
  if (command === undefined) throw new SyntaxError(`there is no command ${name}`);
  const run = () => command(stage, words, text.slice(name.length + 1));
  if (isQuiet || name === 'node') stage.quietly(run);
  else run();
  stage.group.check();
}
