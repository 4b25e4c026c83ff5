/** What goes wrong, and when. */
import type { ConfChange, ConfChangeStep, Message, NodeId } from '../../raft/index.ts';
import type { Fault } from './settings.ts';
import type { World } from './world.ts';

export class Faults {
  readonly #world: World;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
  }

  begin(): void {
    for (const fault of Object.keys(this.#world.settings.every) as Fault[]) this.#again(fault);
  }

  end(): void {
    this.#isOver = true;
  }

  /** Right after a node has said what it must stand by: the moment at which a crash hurts most. */
  sent(id: NodeId, type: Message['type']): void {
    const { agenda, dice, settings } = this.#world;
    if (this.#isOver || !dice.chance(settings.crashAfter[type] ?? 0)) return;
    agenda.after(dice.between(0, 0.3), () => {
      if (!this.#isOver) this.#crash(id);
    });
  }

  #again(fault: Fault): void {
    const { agenda, dice, settings } = this.#world;
    const every = settings.every[fault];
    if (every === Infinity) return;
    agenda.after(dice.wait(every), () => {
      if (this.#isOver) return;
      this.#world.trace('', fault);
      this.#kinds[fault]();
      this.#again(fault);
    });
  }

  readonly #kinds: Record<Fault, () => void> = {
    crash: () => this.#crash(this.#anyone),
    crashLeader: () => this.#crash(this.#world.leader?.id),
    crashAll: () => {
      for (const { id } of this.#world.members) this.#crash(id);
    },
    partition: () => this.#partition(),
    isolateLeader: () => {
      const { leader, members } = this.#world;
      if (leader !== undefined)
        this.#separate(
          [leader.id],
          members.map(({ id }) => id),
        );
    },
    cutOneWay: () => this.#cutOneWay(),
    cutLink: () => {
      const [a, b] = [this.#anyone, this.#anyone];
      this.#cut([
        [a, b],
        [b, a],
      ]);
    },
    pause: () => {
      // Leases are for clocks that run alike.
      if (!this.#world.settings.unsteady) return;
      const { agenda, dice, pausedUntil } = this.#world;
      const id = dice.chance(0.5) ? this.#anyone : (this.#world.leader?.id ?? this.#anyone);
      pausedUntil.set(id, agenda.now + dice.between(3, 50));
    },
    transfer: () => {
      for (const leader of this.#world.leaders) leader.transfer(this.#anyone);
    },
    membership: () => this.#changeMembership(),
    campaign: () => this.#world.member(this.#anyone)?.campaign(),
    unreachable: () => this.#world.member(this.#anyone)?.reportUnreachable(this.#anyone),
    diskFull: () => {
      const { agenda, dice } = this.#world;
      const member = this.#world.member(this.#anyone);
      member?.fillDisk(true);
      agenda.after(dice.between(5, 80), () => member?.fillDisk(false));
    },
  };

  get #anyone(): NodeId {
    return this.#world.dice.pick(this.#world.members).id;
  }

  #crash(id: NodeId | undefined): void {
    const { agenda, dice, settings } = this.#world;
    const member = id === undefined ? undefined : this.#world.member(id);
    if (member === undefined || !member.isUp) return;
    this.#world.trace(member.id, 'crashes');
    member.crash();
    agenda.after(dice.between(0, settings.restart), () => {
      if (member.isUp || this.#isOver) return;
      member.start();
      if (dice.chance(settings.hasty)) agenda.after(dice.between(0, 1), () => member.campaign());
    });
  }

  #partition(): void {
    const { dice, members } = this.#world;
    const ids = members.map(({ id }) => id);
    this.#separate(dice.some(ids, 1 + dice.below(ids.length)), ids);
  }

  #separate(some: readonly NodeId[], all: readonly NodeId[]): void {
    const others = all.filter((id) => !some.includes(id));
    const pairs = some.flatMap((a) => others.map((b) => [a, b] as const));
    this.#cut(pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]));
  }

  #cutOneWay(): void {
    const { dice, members } = this.#world;
    const ids = members.map(({ id }) => id);
    const all = ids.flatMap((a) => ids.filter((b) => a !== b).map((b) => [a, b] as const));
    this.#cut(all.filter(() => dice.chance(0.3)));
  }

  #cut(links: readonly (readonly [NodeId, NodeId])[]): void {
    const { agenda, dice, network } = this.#world;
    network.cut(links);
    agenda.after(dice.between(5, 100), () => network.mend());
  }

  /** Some change that may or may not fit; never one that takes the last voters. */
  #changeMembership(): void {
    const { dice, leaders } = this.#world;
    if (leaders.length === 0) return;
    const leader = dice.pick(leaders);
    const conf = leader.status?.conf;
    if (conf === undefined) return;
    if (conf.outgoing.length > 0) {
      leader.changeMembership({ steps: [], transition: 'auto' });
      return;
    }
    const transition: ConfChange['transition'] = dice.pick([
      'auto',
      'auto',
      'joint',
      'joint-explicit',
    ]);
    const ids = this.#world.members.map(({ id }) => id);
    const count = dice.chance(0.5) ? 1 : 1 + dice.below(ids.length - 1);
    const nodes = dice.some(ids, count);
    const steps = nodes.map((node): ConfChangeStep => {
      const isVoter = conf.voters.includes(node);
      const op = isVoter
        ? dice.pick(['remove', 'remove', 'add-voter', 'add-learner'] as const)
        : dice.pick(['add-voter', 'add-voter', 'add-learner'] as const);
      return { op, node };
    });
    leader.changeMembership({ steps, transition });
  }
}
