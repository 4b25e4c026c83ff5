/** Links between machines: datagrams that are lost, doubled and late, and cuts of either way. */
import type { Agenda } from '../agenda.ts';
import type { Dice } from '../dice.ts';
import type { Settings } from './settings.ts';

type Ends = readonly [from: string, to: string];

export class Links {
  readonly #agenda: Agenda;
  readonly #dice: Dice;
  #weather: Settings['network'];
  /** How many cuts lie over a link: they are mended one by one. */
  readonly #cuts = new Map<string, number>();

  constructor(agenda: Agenda, dice: Dice, weather: Settings['network']) {
    this.#agenda = agenda;
    this.#dice = dice;
    this.#weather = weather;
  }

  /** Calls `arrive` when the message does, maybe twice, maybe never. */
  datagram(from: string, to: string, arrive: () => void): void {
    const { loss, double, late, lateMs } = this.#weather;
    const dice = this.#dice;
    const copies = dice.chance(double) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (dice.chance(loss)) continue;
      const delayMs = dice.chance(late) ? dice.between(0, lateMs) : this.delayMs();
      this.#agenda.after(delayMs, () => {
        if (!this.isCut(from, to)) arrive();
      });
    }
  }

  /** The time that something takes on its way. */
  delayMs(): number {
    return this.#dice.between(0, 2 * this.#weather.delayMs);
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** Cuts the links for a while. */
  cut(links: readonly Ends[], forMs: number): void {
    const keys = links.map(([from, to]) => `${from}>${to}`);
    for (const key of keys) this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    this.#agenda.after(forMs, () => {
      for (const key of keys) {
        const left = (this.#cuts.get(key) ?? 1) - 1;
        if (left > 0) this.#cuts.set(key, left);
        else this.#cuts.delete(key);
      }
    });
  }

  /** No more faults; what is on its way may still be late. */
  calm(): void {
    this.#cuts.clear();
    this.#weather = { delayMs: 0.5, loss: 0, double: 0, late: 0, lateMs: 0 };
  }
}
