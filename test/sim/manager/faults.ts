/** What goes wrong, and when. */
import type { CrashMode } from '../../../raft/index.ts';
import { faults, type Fault } from './settings.ts';
import type { SimManager } from './sim-manager.ts';
import type { Swarm } from './swarm.ts';

const crashModes: readonly CrashMode[] = ['keep', 'keep', 'lose', 'prefix', 'sectors'];

export class Faults {
  readonly #swarm: Swarm;

  constructor(swarm: Swarm) {
    this.#swarm = swarm;
  }

  begin(): void {
    for (const fault of faults) this.#again(fault);
  }

  #again(fault: Fault): void {
    const { agenda, dice, settings } = this.#swarm;
    const everyMs = settings.everyMs[fault];
    if (everyMs === Infinity) return;
    agenda.after(dice.wait(everyMs), () => {
      if (this.#swarm.isCalm) return;
      this.#swarm.note('fault', fault);
      this.#kinds[fault]();
      this.#again(fault);
    });
  }

  readonly #kinds: Record<Fault, () => void> = {
    killManager: () => this.#kill(this.#anyManager),
    killLeader: () => this.#kill(this.#swarm.leader),
    killAllManagers: () => {
      for (const manager of this.#managers) this.#kill(manager);
    },
    pauseManager: () => {
      const { dice } = this.#swarm;
      const manager = dice.chance(0.5) ? this.#swarm.leader : this.#anyManager;
      manager?.running?.process.pause(dice.between(100, 5_000));
    },
    isolateLeader: () => {
      const { leader } = this.#swarm;
      if (leader === undefined) return;
      // Its workers may or may not be on its side.
      const rest = this.#swarm.dice.chance(0.5) ? this.#ids : this.#managers.map(({ id }) => id);
      this.#separate([leader.id], rest);
    },
    partition: () => {
      const { dice } = this.#swarm;
      this.#separate(dice.some(this.#ids, 1 + dice.below(this.#ids.length - 1)), this.#ids);
    },
    cutOneWay: () => {
      const { dice, links } = this.#swarm;
      const pairs = this.#ids.flatMap((a) =>
        this.#ids.filter((b) => a !== b).map((b) => [a, b] as const),
      );
      links.cut(
        pairs.filter(() => dice.chance(0.2)),
        dice.between(300, 8_000),
      );
    },
    transfer: () => {
      const { leader, dice } = this.#swarm;
      const to = dice.pick(this.#managers).id;
      leader?.running?.raft.transferLeadership(to).catch((error: unknown) => {
        this.#swarm.note(leader.id, `no transfer: ${String(error)}`);
      });
    },
    diskFull: () => {
      const { agenda, dice } = this.#swarm;
      const manager = this.#anyManager;
      manager.fillDisk(true);
      agenda.after(dice.between(500, 8_000), () => manager.fillDisk(false));
    },
    replaceManager: () => this.#swarm.membership.replace(this.#anyManager.id),
    killHost: () => this.#killHost(true),
    killDaemon: () => this.#killHost(false),
    cutHost: () => this.#separate([this.#anyHost.id], this.#ids),
    exitContainer: () => {
      const host = this.#anyHost;
      const { dice } = this.#swarm;
      const { running } = host;
      if (running.length > 0) host.endAfter(dice.pick(running), 0, dice.pick([0, 1]));
    },
  };

  get #managers(): SimManager[] {
    return this.#swarm.managers.filter(({ isGone }) => !isGone);
  }

  get #anyManager(): SimManager {
    return this.#swarm.dice.pick(this.#managers);
  }

  get #anyHost() {
    return this.#swarm.dice.pick(this.#swarm.hosts);
  }

  get #ids(): string[] {
    return [...this.#managers, ...this.#swarm.hosts].map(({ id }) => id);
  }

  #kill(manager: SimManager | undefined): void {
    if (manager?.running === undefined) return;
    const { agenda, dice } = this.#swarm;
    manager.kill(dice.pick(crashModes));
    agenda.after(dice.chance(0.4) ? dice.between(0, 300) : dice.between(300, 8_000), () =>
      manager.start(),
    );
  }

  #killHost(isMachine: boolean): void {
    const { agenda, dice } = this.#swarm;
    const host = this.#anyHost;
    if (!host.isUp) return;
    if (isMachine) host.crash();
    else host.killDaemon();
    agenda.after(dice.between(100, 9_000), () => this.#swarm.startHost(host));
  }

  #separate(some: readonly string[], all: readonly string[]): void {
    const { dice, links } = this.#swarm;
    const others = all.filter((id) => !some.includes(id));
    const pairs = some.flatMap((a) => others.map((b) => [a, b] as const));
    links.cut(
      pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]),
      dice.between(300, 9_000),
    );
  }
}
