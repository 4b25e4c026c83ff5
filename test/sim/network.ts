/** Links between nodes that delay, lose, double, reorder and are cut, each way on its own. */
import type { NodeId } from '../../raft/index.ts';
import type { Agenda } from './agenda.ts';
import type { Dice } from './dice.ts';
import type { Settings } from './settings.ts';

export class Network {
  readonly #agenda: Agenda;
  readonly #dice: Dice;
  #weather: Settings['network'];
  #cut = new Set<string>();
  #waiting: (() => void)[] = [];
  /** When the last message of a link arrives, where links keep the order. */
  readonly #lastAt = new Map<string, number>();

  constructor(agenda: Agenda, dice: Dice, weather: Settings['network']) {
    this.#agenda = agenda;
    this.#dice = dice;
    this.#weather = weather;
  }

  /** Calls `arrive` when the message does, maybe twice, maybe never. */
  send(from: NodeId, to: NodeId, arrive: () => void): void {
    const dice = this.#dice;
    const { delay, loss, double, late, lateness, ordered } = this.#weather;
    const link = `${from}>${to}`;
    const copies = dice.chance(double) && !ordered ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (dice.chance(loss)) continue;
      let time = dice.chance(late) ? dice.between(0, lateness) : dice.between(0, 2 * delay);
      if (ordered) {
        const at = Math.max(this.#agenda.now + time, this.#lastAt.get(link) ?? 0);
        this.#lastAt.set(link, at);
        time = at - this.#agenda.now;
      }
      this.#agenda.after(time, () => {
        if (!this.#cut.has(link)) arrive();
        else if (this.#weather.kept) this.#waiting.push(arrive);
      });
    }
  }

  cut(links: Iterable<readonly [from: NodeId, to: NodeId]>): void {
    for (const [from, to] of links) this.#cut.add(`${from}>${to}`);
  }

  mend(): void {
    this.#cut.clear();
    for (const arrive of this.#waiting.splice(0)) {
      this.#agenda.after(this.#dice.between(0, 1), arrive);
    }
  }

  /** No more faults; what is under way still arrives as late as it was to. */
  calm(): void {
    this.mend();
    this.#weather = {
      delay: 0.2,
      loss: 0,
      double: 0,
      late: 0,
      lateness: 0,
      ordered: false,
      kept: false,
    };
  }
}
